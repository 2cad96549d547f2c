//! The addresses of this machine's interfaces.

use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;

/// All addresses; none where the system does not tell.
pub(crate) fn addresses() -> Vec<IpAddr> {
    let Ok(interfaces) = getifaddrs() else { return Vec::new() };
    let addresses = interfaces.filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
    });
    addresses.collect()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn this_machine_has_an_address() {
        let addresses = addresses();
        assert!(addresses.contains(&IpAddr::V4(Ipv4Addr::LOCALHOST)) || addresses.is_empty());
    }
}
