// Public records of the United States Congress (works of the federal government, in the public domain).

export const bills = [
	{ id: "hr1319-117", congress: 117, number: "H.R. 1319", title: "American Rescue Plan Act of 2021", sponsor: "Y000062", introduced: "2021-02-24", latestAction: "Became Public Law No. 117-2", latestActionDate: "2021-03-11", committee: "HSBU" },
	{ id: "hr3684-117", congress: 117, number: "H.R. 3684", title: "Infrastructure Investment and Jobs Act", sponsor: "D000191", introduced: "2021-06-04", latestAction: "Became Public Law No. 117-58", latestActionDate: "2021-11-15", committee: "HSPW" },
	{ id: "hr4346-117", congress: 117, number: "H.R. 4346", title: "CHIPS and Science Act", sponsor: "R000577", introduced: "2021-07-01", latestAction: "Became Public Law No. 117-167", latestActionDate: "2022-08-09", committee: "HSAP" },
	{ id: "s2938-117", congress: 117, number: "S. 2938", title: "Bipartisan Safer Communities Act", sponsor: "R000595", introduced: "2021-10-05", latestAction: "Became Public Law No. 117-159", latestActionDate: "2022-06-25", committee: "HSPW" },
	{ id: "hr5376-117", congress: 117, number: "H.R. 5376", title: "Inflation Reduction Act of 2022", sponsor: "Y000062", introduced: "2021-09-27", latestAction: "Became Public Law No. 117-169", latestActionDate: "2022-08-16", committee: "HSBU" },
	{ id: "hr8404-117", congress: 117, number: "H.R. 8404", title: "Respect for Marriage Act", sponsor: "N000002", introduced: "2022-07-18", latestAction: "Became Public Law No. 117-228", latestActionDate: "2022-12-13", committee: "HSJU" },
	{ id: "hr1-118", congress: 118, number: "H.R. 1", title: "Lower Energy Costs Act", sponsor: "S001176", introduced: "2023-03-14", latestAction: "Passed House", latestActionDate: "2023-03-30", committee: "HSIF" },
	{ id: "hr3746-118", congress: 118, number: "H.R. 3746", title: "Fiscal Responsibility Act of 2023", sponsor: "M001156", introduced: "2023-05-29", latestAction: "Became Public Law No. 118-5", latestActionDate: "2023-06-03", committee: "HSWM" },
	{ id: "hr2670-118", congress: 118, number: "H.R. 2670", title: "National Defense Authorization Act for Fiscal Year 2024", sponsor: "R000575", introduced: "2023-04-18", latestAction: "Became Public Law No. 118-31", latestActionDate: "2023-12-22", committee: "HSAS" },
	{ id: "hr7521-118", congress: 118, number: "H.R. 7521", title: "Protecting Americans from Foreign Adversary Controlled Applications Act", sponsor: "G000579", introduced: "2024-03-05", latestAction: "Passed House", latestActionDate: "2024-03-13", committee: "HSIF" },
] as const;

export const members = [
	{ id: "C001035", name: "Susan M. Collins", chamber: "Senate", state: "ME", party: "Republican" },
	{ id: "D000191", name: "Peter A. DeFazio", chamber: "House", state: "OR", party: "Democratic" },
	{ id: "G000579", name: "Mike Gallagher", chamber: "House", state: "WI", party: "Republican" },
	{ id: "J000294", name: "Hakeem S. Jeffries", chamber: "House", state: "NY", party: "Democratic" },
	{ id: "J000299", name: "Mike Johnson", chamber: "House", state: "LA", party: "Republican" },
	{ id: "M000355", name: "Mitch McConnell", chamber: "Senate", state: "KY", party: "Republican" },
	{ id: "M001156", name: "Patrick T. McHenry", chamber: "House", state: "NC", party: "Republican" },
	{ id: "N000002", name: "Jerrold Nadler", chamber: "House", state: "NY", party: "Democratic" },
	{ id: "P000197", name: "Nancy Pelosi", chamber: "House", state: "CA", party: "Democratic" },
	{ id: "R000575", name: "Mike Rogers", chamber: "House", state: "AL", party: "Republican" },
	{ id: "R000577", name: "Tim Ryan", chamber: "House", state: "OH", party: "Democratic" },
	{ id: "R000595", name: "Marco Rubio", chamber: "Senate", state: "FL", party: "Republican" },
	{ id: "S000033", name: "Bernard Sanders", chamber: "Senate", state: "VT", party: "Independent" },
	{ id: "S000148", name: "Charles E. Schumer", chamber: "Senate", state: "NY", party: "Democratic" },
	{ id: "S001176", name: "Steve Scalise", chamber: "House", state: "LA", party: "Republican" },
	{ id: "Y000062", name: "John A. Yarmuth", chamber: "House", state: "KY", party: "Democratic" },
] as const;

export const votes = [
	{ id: "house-117-2021-72", chamber: "House", congress: 117, rollCall: 72, date: "2021-03-10", bill: "hr1319-117", yeas: 220, nays: 211, result: "Passed" },
	{ id: "senate-117-2021-314", chamber: "Senate", congress: 117, rollCall: 314, date: "2021-08-10", bill: "hr3684-117", yeas: 69, nays: 30, result: "Passed" },
	{ id: "house-117-2021-369", chamber: "House", congress: 117, rollCall: 369, date: "2021-11-05", bill: "hr3684-117", yeas: 228, nays: 206, result: "Passed" },
	{ id: "senate-117-2022-325", chamber: "Senate", congress: 117, rollCall: 325, date: "2022-08-07", bill: "hr5376-117", yeas: 51, nays: 50, result: "Passed" },
	{ id: "house-117-2022-420", chamber: "House", congress: 117, rollCall: 420, date: "2022-08-12", bill: "hr5376-117", yeas: 220, nays: 207, result: "Passed" },
	{ id: "house-118-2023-243", chamber: "House", congress: 118, rollCall: 243, date: "2023-05-31", bill: "hr3746-118", yeas: 314, nays: 117, result: "Passed" },
	{ id: "senate-118-2023-146", chamber: "Senate", congress: 118, rollCall: 146, date: "2023-06-01", bill: "hr3746-118", yeas: 63, nays: 36, result: "Passed" },
	{ id: "house-118-2024-86", chamber: "House", congress: 118, rollCall: 86, date: "2024-03-13", bill: "hr7521-118", yeas: 352, nays: 65, result: "Passed" },
] as const;

export const committees = [
	{ id: "HSAG", chamber: "House", name: "Committee on Agriculture" },
	{ id: "HSAP", chamber: "House", name: "Committee on Appropriations" },
	{ id: "HSAS", chamber: "House", name: "Committee on Armed Services" },
	{ id: "HSBA", chamber: "House", name: "Committee on Financial Services" },
	{ id: "HSBU", chamber: "House", name: "Committee on the Budget" },
	{ id: "HSIF", chamber: "House", name: "Committee on Energy and Commerce" },
	{ id: "HSJU", chamber: "House", name: "Committee on the Judiciary" },
	{ id: "HSPW", chamber: "House", name: "Committee on Transportation and Infrastructure" },
	{ id: "HSRU", chamber: "House", name: "Committee on Rules" },
	{ id: "HSWM", chamber: "House", name: "Committee on Ways and Means" },
	{ id: "SSAF", chamber: "Senate", name: "Committee on Agriculture, Nutrition, and Forestry" },
	{ id: "SSAP", chamber: "Senate", name: "Committee on Appropriations" },
	{ id: "SSFI", chamber: "Senate", name: "Committee on Finance" },
	{ id: "SSFR", chamber: "Senate", name: "Committee on Foreign Relations" },
	{ id: "SSJU", chamber: "Senate", name: "Committee on the Judiciary" },
] as const;
