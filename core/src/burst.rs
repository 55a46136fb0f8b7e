//! How many requests an address may send of which nobody knows who sends them. The platform counts; this says what is
//! counted, and under which name.

use crate::problem::Problem;
use crate::route::{Access, Route};
use std::net::{IpAddr, Ipv6Addr};

/// The limit: so many requests of an address in so many seconds. `worker/wrangler.jsonc` repeats it for the platform, which
/// a test holds to this.
pub const REQUESTS: u32 = 200;
/// In how many seconds: the platform knows 10 and 60.
pub const SECONDS: u32 = 10;

/// Whether a request counts before it is looked at: where nobody has to say who they are, and where nothing is.
#[must_use]
pub const fn counts(route: Option<&Route>) -> bool {
    match route {
        Some(route) => matches!(route.access(), Access::Public),
        None => true,
    }
}

/// Whether a request of which nobody knows who sends it counts once it failed so.
#[must_use]
pub const fn counts_failed(problem: &Problem) -> bool {
    matches!(
        problem,
        Problem::Unauthenticated(_)
            | Problem::Unverified
            | Problem::ForeignOrigin
            | Problem::PayloadTooLarge(_)
            | Problem::BodyTimedOut
    )
}

/// The name an address is counted under: itself, or the network of an IPv6 address, of which anybody has 2^64 addresses.
///
/// ```
/// use legis_core::burst::counted_as;
/// assert_eq!(counted_as("203.0.113.7"), "203.0.113.7");
/// assert_eq!(counted_as("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
/// assert_eq!(counted_as("::ffff:203.0.113.7"), "203.0.113.7");
/// ```
#[must_use]
pub fn counted_as(address: &str) -> String {
    match address
        .parse::<IpAddr>()
        .map(|address| address.to_canonical())
    {
        Ok(IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).to_string()
        }
        Ok(IpAddr::V4(address)) => address.to_string(),
        // The platform says whose address it is; what is none is one name for all of them.
        Err(_) => "unknown".to_owned(),
    }
}
