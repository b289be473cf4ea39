use super::*;

/// etcd 3.4 and 3.5 say it twice, 3.6 once.
#[test]
fn etcd_reason_of_a_refusal_is_found_in_the_answers_of_all_versions() {
    for (text, told) in [
        (r#"{"error":"denied","message":"denied","code":7}"#, "denied"),
        (r#"{"code":7,"message":"denied","details":[]}"#, "denied"),
        (r#"{"error":"denied","code":7}"#, "denied"),
        ("<html>", "no reason is given"),
    ] {
        let failed = refused("http://here:1", 403, text);
        assert_eq!(failed.cause.to_string(), format!("http://here:1 answers 403: {told}"));
        assert!(!failed.may_be_applied && !failed.may_pass && !failed.wants_token);
    }
}

#[test]
fn etcd_token_that_is_old_is_no_refusal_for_good() {
    for (status, text) in [
        (400, r#"{"error":"etcdserver: revision of auth store is old","code":3}"#),
        (400, r#"{"code":3,"message":"etcdserver: revision of auth store is old"}"#),
        (401, r#"{"error":"etcdserver: invalid auth token","code":16}"#),
    ] {
        let failed = refused("http://here:1", status, text);
        assert!(failed.wants_token && failed.may_pass && !failed.may_be_applied, "{text}");
    }
}

#[test]
fn etcd_request_that_found_no_way_was_never_sent() {
    use io::ErrorKind as Kind;
    let may_be_applied = |error| lost("http://here:1", error).may_be_applied;
    for kind in [
        Kind::ConnectionRefused,
        Kind::HostUnreachable,
        Kind::NetworkUnreachable,
        Kind::NetworkDown,
        Kind::AddrNotAvailable,
    ] {
        assert!(!may_be_applied(ureq::Error::Io(kind.into())), "{kind}");
    }
    assert!(!may_be_applied(ureq::Error::Timeout(Timeout::Connect)));
    for kind in [Kind::ConnectionReset, Kind::BrokenPipe, Kind::UnexpectedEof] {
        assert!(may_be_applied(ureq::Error::Io(kind.into())), "{kind}");
    }
    assert!(may_be_applied(ureq::Error::Timeout(Timeout::Global)));
}
