import { plans, schemas, validate } from "legis-edge";
import { type FormEvent, useState } from "react";
import { signIn, type Wish } from "./session.ts";
import { useReturn } from "./use-return.ts";

interface Fields {
	email: string;
	name: string;
	plan: string;
}

interface Props {
	wish: Wish;
	choose: (wish: Wish) => void;
	error: string | undefined;
}

/** The sign-up form, held to core's rules while one types: the worker holds the same payload to the same rules. */
export function SignUp({ wish, choose, error }: Props) {
	const [typed, setTyped] = useState({ email: "", name: "" });
	const [touched, setTouched] = useState<ReadonlySet<string>>(new Set());
	const [failure, setFailure] = useState(error);
	const [leaving, setLeaving] = useState(false);

	useReturn(() => setLeaving(false));

	const fields: Fields = { ...typed, plan: wish.plan };
	const result = validate(schemas.registration, present(fields));
	const issue = (field: keyof Fields) => {
		if (!touched.has(field)) {
			return undefined;
		}
		if (field === "email" && fields.email === "") {
			return "Enter your e-mail address.";
		}
		return result.ok ? undefined : result.issues.find((issue) => issue.path[0] === field)?.message;
	};
	const touch = (field: keyof Fields) => setTouched((touched) => new Set([...touched, field]));

	const submit = (event: FormEvent) => {
		event.preventDefault();
		if (leaving) {
			return;
		}
		setTouched(new Set(Object.keys(fields)));
		if (!result.ok || fields.email === "") {
			const first = result.ok ? "email" : String(result.issues[0]?.path[0]);
			document.getElementById(first)?.focus();
			return;
		}
		setLeaving(true);
		signIn({ ...wish, ...present(fields), email: fields.email }).catch((error: Error) => {
			setLeaving(false);
			setFailure(error.message);
		});
	};

	return (
		<section id="sign-up" aria-labelledby="sign-up-title">
			<h2 id="sign-up-title">Sign up or sign in</h2>
			<form onSubmit={submit} noValidate>
				<Field id="email" label="E-mail" issue={issue("email")}>
					{(described) => (
						<input
							{...described}
							type="email"
							autoComplete="email"
							required
							value={fields.email}
							onBlur={() => fields.email !== "" && touch("email")}
							onChange={(event) => setTyped({ ...typed, email: event.target.value })}
						/>
					)}
				</Field>
				<Field id="name" label="Name" hint="Optional" issue={issue("name")}>
					{(described) => (
						<input
							{...described}
							autoComplete="name"
							value={fields.name}
							onChange={(event) => {
								setTyped({ ...typed, name: event.target.value });
								touch("name");
							}}
						/>
					)}
				</Field>
				<Field id="plan" label="Plan" hint="You start free; paying comes later" issue={issue("plan")}>
					{(described) => (
						<select
							{...described}
							value={fields.plan}
							onChange={(event) => choose({ ...wish, plan: event.target.value })}
						>
							{plans()
								.filter((plan) => plan.prices.length > 0)
								.map((plan) => (
									<option key={plan.id} value={plan.slug}>
										{plan.name}
									</option>
								))}
						</select>
					)}
				</Field>
				<p className="failure" role="alert">
					{failure}
				</p>
				<button type="submit" className="primary" aria-disabled={leaving}>
					{leaving ? "One moment …" : "Continue"}
				</button>
			</form>
		</section>
	);
}

/** What was filled in: an empty field says nothing. */
function present({ email, name, plan }: Fields) {
	return { plan, ...(email === "" ? {} : { email }), ...(name === "" ? {} : { name }) };
}

interface FieldProps {
	id: string;
	label: string;
	hint?: string;
	issue: string | undefined;
	children: (described: { id: string; "aria-invalid": boolean; "aria-describedby": string }) => React.ReactNode;
}

function Field({ id, label, hint, issue, children }: FieldProps) {
	return (
		<div className="field">
			<label htmlFor={id}>{label}</label>
			{children({ id, "aria-invalid": issue !== undefined, "aria-describedby": `${id}-note` })}
			<p id={`${id}-note`} className={issue === undefined ? "note" : "note wrong"} aria-live="polite">
				{issue ?? hint}
			</p>
		</div>
	);
}
