//! Who sent this?

use legis_core::stripe::signature::{Secrets, Unverified, sign, verify};
use legis_core::time::Timestamp;
use proptest::prelude::*;

fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

fn secrets(text: &str) -> Secrets {
    Secrets::parse(text).unwrap()
}

#[test]
fn any_of_several_secrets_and_of_several_signatures_will_do() {
    let body = br#"{"id":"evt_1"}"#;
    let both = secrets("whsec_old,whsec_new");
    for secret in ["whsec_old", "whsec_new"] {
        assert_eq!(
            verify(Some(&sign(body, secret, now())), body, &both, now()),
            Ok(())
        );
    }
    let old = sign(body, "whsec_gone", now());
    let new = sign(body, "whsec_new", now());
    let v1 = new.split_once(',').unwrap().1;
    assert_eq!(
        verify(Some(&format!("{old},{v1},v0=00")), body, &both, now()),
        Ok(())
    );
    assert_eq!(
        verify(Some(&old), body, &both, now()),
        Err(Unverified::Mismatch)
    );
}

#[test]
fn five_minutes_either_way_and_not_a_second_more() {
    for (seconds, expected) in [
        (300, Ok(())),
        (-300, Ok(())),
        (301, Err(Unverified::Stale)),
        (-301, Err(Unverified::Stale)),
    ] {
        let header = sign(b"{}", "whsec", now().plus_millis(seconds * 1000));
        assert_eq!(
            verify(Some(&header), b"{}", &secrets("whsec"), now()),
            expected
        );
    }
}

#[test]
fn what_is_no_signature_is_told_apart() {
    let verify = |header| verify(header, b"{}", &secrets("whsec"), now());
    assert_eq!(verify(None), Err(Unverified::Missing));
    let good = sign(b"{}", "whsec", now());
    let v1 = good.split_once(',').unwrap().1;
    for header in [
        "",
        "t=1",
        v1,
        "t=,v1=00",
        "t=abc,v1=",
        &format!("t=+1,{v1}"),
        "t=1,v0=00",
        "t=1,v1=zz",
    ] {
        assert_eq!(verify(Some(header)), Err(Unverified::Malformed), "{header}");
    }
}

proptest! {
    #[test]
    fn one_changed_bit_is_found(
        body in prop::collection::vec(any::<u8>(), 1..200),
        index in any::<prop::sample::Index>(),
        bit in 0_u8..8,
    ) {
        let header = sign(&body, "whsec", now());
        let mut forged = body.clone();
        forged[index.index(body.len())] ^= 1 << bit;
        prop_assert_eq!(verify(Some(&header), &body, &secrets("whsec"), now()), Ok(()));
        prop_assert_eq!(verify(Some(&header), &forged, &secrets("whsec"), now()), Err(Unverified::Mismatch));
    }

    #[test]
    fn no_header_whatsoever_stops_it(header in ".{0,200}") {
        let _ = verify(Some(&header), b"{}", &secrets("whsec"), now());
    }
}
