use std::time::Duration;

use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::record::{Clock, parse};
use crate::time::Time;

/// 22 November 2026, 14:38:31.123 in Berlin.
const THEN: i64 = 1_795_354_711_123;

fn written(line: &str, spec: Option<&TimeSpec>) -> Option<Time> {
    let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
    let now = Time::from_millis(THEN).plus(Duration::from_secs(3600));
    Clock::new(berlin, now)
        .written(line.as_bytes(), &parse(line.as_bytes()), spec)
        .map(|written| written.time)
}

fn spec(formats: &[&str], place: TimePlace) -> TimeSpec {
    TimeSpec { formats: formats.iter().map(|format| TimeFormat::new(format).unwrap()).collect(), place }
}

#[test]
fn the_stamps_of_widespread_services_are_read_without_being_told() {
    for (service, line) in [
        ("nginx, access", r#"192.0.2.7 - - [22/Nov/2026:14:38:31 +0100] "GET / HTTP/1.1" 403 5"#),
        ("nginx, a user", r#"192.0.2.7 - a b [22/Nov/2026:13:38:31 +0000] "GET / HTTP/1.1" 401 5"#),
        ("nginx, error", "2026/11/22 14:38:31 [error] 7#7: *1 x, client: 192.0.2.7"),
        ("apache, vhost", r#"www.example.org:443 192.0.2.7 - - [22/Nov/2026:14:38:31 +0100] "GET /""#),
        (
            "apache, error",
            "[Sun Nov 22 14:38:31.123456 2026] [core:error] [pid 7:tid 8] [client 192.0.2.7:1] x",
        ),
        ("apache 2.2", "[Sun Nov 22 14:38:31 2026] [error] [client 192.0.2.7] user a: not found"),
        (
            "lighttpd",
            "2026-11-22 14:38:31: (http_auth.c.827) password doesn't match for / username: a IP: 192.0.2.7",
        ),
        ("vsftpd", r#"Sun Nov 22 14:38:31 2026 [pid 7] [a] FAIL LOGIN: Client "192.0.2.7""#),
        ("proftpd", "2026-11-22 14:38:31,123 gw proftpd[7] gw (192.0.2.7[192.0.2.7]): USER a: no such user"),
        ("exim", "2026-11-22 14:38:31 login authenticator failed for (x) [192.0.2.7]: 535 (set_id=a)"),
        ("exim, zone", "2026-11-22 14:38:31 +0100 H=(x) [192.0.2.7] rejected"),
        ("named", "22-Nov-2026 14:38:31.123 client @0x1 192.0.2.7#53 (x): query (cache) denied"),
        ("mysqld", "2026-11-22T13:38:31.123456Z 12 [Note] Access denied for user 'a'@'192.0.2.7'"),
        ("mariadb", "2026-11-22 14:38:31 12 [Warning] Access denied for user 'a'@'192.0.2.7'"),
        ("postgres", "2026-11-22 14:38:31.123 CET [7] a@b FATAL:  password authentication failed"),
        ("postgres, UTC", "2026-11-22 13:38:31.123 UTC [7] a@b FATAL:  password authentication failed"),
        ("asterisk", "[2026-11-22 14:38:31] NOTICE[7] chan_sip.c: Registration from 'a' failed"),
        ("asterisk, default", "[Nov 22 14:38:31] NOTICE[7] chan_sip.c: Registration from 'a' failed"),
        ("freeswitch", "2026-11-22 14:38:31.123456 [WARNING] sofia_reg.c:1792 SIP auth failure"),
        ("openvpn 2.4", "Sun Nov 22 14:38:31 2026 192.0.2.7:1194 TLS Error: TLS handshake failed"),
        ("openvpn 2.5", "2026-11-22 14:38:31 192.0.2.7:1194 TLS Error: TLS handshake failed"),
        ("dovecot", "Nov 22 14:38:31 auth: Info: passwd(a,192.0.2.7): unknown user"),
        ("dovecot, dated", "2026-11-22 14:38:31 imap-login: Info: Disconnected: rip=192.0.2.7"),
        ("squid", "1795354711.123     45 192.0.2.7 TCP_DENIED/407 3903 GET http://x - HIER_NONE/- text/html"),
        ("haproxy, raw", "192.0.2.7:1194 [22/Nov/2026:14:38:31.123] web web/<NOSRV> -1/-1/-1/-1/0 400 187"),
        ("tomcat", "22-Nov-2026 14:38:31.123 WARNING [exec-1] LockOutRealm An attempt was made"),
        ("gitea", "2026/11/22 14:38:31 ...ers/web/auth/auth.go:200:SignInPost() [W] Failed authentication"),
        ("gitea 1.20", "2026/11/22 14:38:31.123456 routers/web/auth/auth.go:200 [W] Failed authentication"),
        ("vaultwarden", "[2026-11-22 14:38:31.123][vaultwarden::api::identity][ERROR] Username or password"),
        ("bitwarden", "2026-11-22 14:38:31.123 +01:00 [Warning] Failed login attempt. 192.0.2.7"),
        ("jellyfin", "[2026-11-22 14:38:31.123 +01:00] [INF] [9] Authentication request has been denied"),
        ("home assistant", "2026-11-22 14:38:31.123 WARNING (MainThread) [homeassistant] Login attempt"),
        ("roundcube", "[22-Nov-2026 14:38:31 +0100]: <s> IMAP Error: Login failed for a from 192.0.2.7"),
        ("php-fpm", "[22-Nov-2026 14:38:31] WARNING: [pool www] x"),
        ("kerio", "[22/Nov/2026 14:38:31] SMTP: User a doesn't exist. Attempt from IP address 192.0.2.7"),
        ("python", r#"192.0.2.7 - - [22/Nov/2026 14:38:31] "GET / HTTP/1.1" 404 -"#),
        ("nsd", "[1795354711] nsd[7]: info: ratelimit block example.org. from 192.0.2.7"),
        ("nagios", "[1795354711] SERVICE ALERT: x"),
        ("stunnel", "2026.11.22 14:38:31 LOG3[7:8]: x"),
        ("mongodb 4", "2026-11-22T13:38:31.123+0000 I ACCESS [conn7] SCRAM-SHA-1 authentication failed"),
        ("mongodb", r#"{"t":{"$date":"2026-11-22T14:38:31.123+01:00"},"s":"I","c":"ACCESS"}"#),
        (
            "nextcloud",
            r#"{"reqId":"x","level":2,"time":"2026-11-22T13:38:31+00:00","remoteAddr":"192.0.2.7"}"#,
        ),
        (
            "caddy",
            r#"{"level":"info","ts":1795354711.123,"logger":"http.log.access","request":{"remote_ip":"x"}}"#,
        ),
        ("pino", r#"{"level":40,"time":1795354711123,"pid":7,"msg":"x"}"#),
        (
            "mattermost",
            r#"{"timestamp":"2026-11-22 14:38:31.123 +01:00","level":"error","ip_addr":"192.0.2.7"}"#,
        ),
        ("traefik", r#"{"ClientHost":"192.0.2.7","RequestPath":"/\"","time":"2026-11-22T14:38:31+01:00"}"#),
        ("grafana", "t=2026-11-22T14:38:31+0100 lvl=info msg=\"Invalid username\" remote_addr=192.0.2.7"),
        ("logrus", "time=\"2026-11-22T14:38:31+01:00\" level=warning msg=x"),
        ("auditd", "type=USER_LOGIN msg=audit(1795354711.123:456): pid=7 uid=0 addr=192.0.2.7 res=failed"),
        ("ISO prefix", "ISO:2026-11-22T14:38:31 x"),
        ("date(1)", "Sun Nov 22 14:38:31 CET 2026 x"),
        ("milliseconds", "1795354711123 x"),
        ("TAI64N", "@400000006b02f06100000000 x"),
        ("syslog", "Nov 22 14:38:31 gw httpd: [01/Jan/1970:00:00:00 +0000] \"x\""),
        ("rfc5424", "<38>1 2026-11-22T14:38:31+01:00 gw - - - - x"),
    ] {
        let time = written(line, None).unwrap_or_else(|| panic!("{service}: {line}"));
        // TAI64N above is of another second, which the clock's own tests know.
        let want = if service == "TAI64N" { time.as_millis() / 1000 } else { THEN / 1000 };
        assert_eq!(time.as_millis() / 1000, want, "{service}: {line}");
    }
}

#[test]
fn what_says_no_day_has_no_time() {
    for line in [
        "14:38:31.123 [http-nio-1] WARN x",
        "[14:38:31] [Server thread/INFO]: x",
        "[   12.345678] x",
        "[12345.678] x",
        "1234: session 1: x",
        "192.0.2.7 [22/Now/2026:14:38:31 +0100]",
        "192.0.2.7 x [22/Nov/2026:14:38:31 +0100] x",
        "2026/11/22",
        "2026-11-22T14:38:31x y",
        "1795354711x",
        "17953547110 x",
        "{\"user\":\"2026-11-22T14:38:31Z\"}",
        "{",
        "[",
        "",
    ] {
        assert_eq!(written(line, None), None, "{line}");
    }
}

/// A peer that chooses its user name, its path or its referrer must not choose the time at which its lines count.
#[test]
fn a_peers_text_is_never_taken_for_the_stamp() {
    for line in [
        r#"192.0.2.7 - [01/Jan/1970:00:00:00 +0000] [22/Nov/2026:14:38:31 +0100] "GET / HTTP/1.1" 401 5"#,
        r#"192.0.2.7 - x [01/Jan/1970:00:00:00 +0000] y [22/Nov/2026:14:38:31 +0100] "GET / HTTP/1.1" 401 5"#,
        r#"192.0.2.7 - [01/Jan/1970:00:00:00 +0000] \"x [22/Nov/2026:14:38:31 +0100] "GET / HTTP/1.1" 401 5"#,
        r#"192.0.2.7 - - [22/Nov/2026:14:38:31 +0100] "GET /[01/Jan/1970:00:00:00 +0000] "x" HTTP/1.1" 401 5"#,
        r#"2026/11/22 14:38:31 [error] 7#7: [01/Jan/1970:00:00:00 +0000] "x", client: 192.0.2.7"#,
        r#"{"user":"\",\"ts\":1,\"x\":\"","ts":1795354711}"#,
        "Nov 22 14:38:31 gw x [01/Jan/1970:00:00:00 +0000] \"x\"",
    ] {
        assert_eq!(written(line, None).map(|time| time.as_millis() / 1000), Some(THEN / 1000), "{line}");
    }
}

#[test]
fn a_stated_format_is_read_at_its_place_and_nothing_else_is() {
    let german = spec(&["%d.%m.%Y %H:%M:%S"], TimePlace::Start);
    assert!(written("22.11.2026 14:38:31 x", Some(&german)).is_some());
    assert_eq!(written("2026-11-22 14:38:31 22.11.2026 14:38:31", Some(&german)), None, "stated is stated");
    let mysql = spec(&["%y%m%d %k:%M:%S"], TimePlace::Start);
    assert!(written("261122  4:38:31 [Warning] x", Some(&mysql)).is_some());
    let murmur = spec(&["<W>%F %T.%3f", "<I>%F %T.%3f"], TimePlace::Start);
    assert!(written("<I>2026-11-22 14:38:31.123 1 => x", Some(&murmur)).is_some());
    let brackets = spec(&["%d/%b/%Y:%T %z"], TimePlace::Brackets);
    assert!(written("[22/Nov/2026:14:38:31 +0100] x", Some(&brackets)).is_some());
    assert!(written("192.0.2.7 - - [22/Nov/2026:14:38:31 +0100] \"GET\"", Some(&brackets)).is_some());
    assert_eq!(written("22/Nov/2026:14:38:31 +0100 x", Some(&brackets)), None);
    let key = |path: &[&str]| TimePlace::Key(path.iter().map(|key| (*key).to_owned()).collect());
    let line = r#"{"log":{"when":"22.11.2026 14:38:31"},"ts":1795354711.1}"#;
    assert!(written(line, Some(&spec(&["%d.%m.%Y %H:%M:%S"], key(&["log", "when"])))).is_some());
    assert!(written(line, Some(&spec(&[], key(&["ts"])))).is_some());
    assert_eq!(written(line, Some(&spec(&["%s"], key(&["ts"])))), None, "all of the value");
}

#[test]
fn the_regex_of_the_known_forms_matches_their_stamps() {
    let regex =
        regex::bytes::RegexBuilder::new(&format!("^(?:{})$", known_regex())).unicode(false).build().unwrap();
    for stamp in [
        "2026-11-22T14:38:31.123456+01:00",
        "2026-11-22 14:38:31,123",
        "2026-11-22 14:38:31.123 CET",
        "2026/11/22 14:38:31",
        "22/Nov/2026:14:38:31 +0100",
        "22-Nov-2026 14:38:31.123",
        "Sun Nov 22 14:38:31.123456 2026",
        "Nov  2 14:38:31",
        "1795354711",
        "1795354711.123",
        "1795354711123",
        "@400000006b02f06100000000",
    ] {
        assert!(regex.is_match(stamp.as_bytes()), "{stamp}");
    }
    for other in
        ["192.0.2.7", "2026-11-22", "Sun", "x2026/11/22 14:38:31", "22/Nov/2026:14:38:31 from 192.0.2.7"]
    {
        assert!(!regex.is_match(other.as_bytes()), "{other}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_line_makes_reading_panic(
        line in prop::collection::vec(prop_oneof![
            prop::sample::select(vec!["[", "]", "\"", " ", " - - [", "{", "}", ":", ",", "ts", "2026-11-22", "14:38:31", "T",
                "22/Nov/2026", "Sun Nov 22 ", "+0100", " CET", ".123", "1795354711", "type=A msg=audit(", "\\", "@"]).prop_map(str::to_owned),
            any::<String>(),
        ], 0..9),
    ) {
        let line = line.concat();
        written(&line, None);
        written(&line, Some(&spec(&["%d/%b/%Y:%T %z", "%s"], TimePlace::Brackets)));
        written(&line, Some(&spec(&[], TimePlace::Key(vec!["ts".to_owned()]))));
    }
}
