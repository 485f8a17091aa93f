//! Where a request comes from.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::request::Parts;

use crate::state::App;

/// The address of who sent the request, seen through the proxies that are trusted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Proxies that tell the truth about where a request comes from.
pub(crate) struct Proxies(pub(crate) Vec<(IpAddr, u32)>);

impl Proxies {
    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|(network, bits)| match (network.to_canonical(), address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                (network.to_bits() ^ address.to_bits()).leading_zeros() >= *bits
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                (network.to_bits() ^ address.to_bits()).leading_zeros() >= *bits
            }
            _ => false,
        })
    }

    /// The last address that no trusted proxy has: what stands before it can be made up.
    fn origin(&self, connected: IpAddr, headers: &HeaderMap) -> IpAddr {
        let connected = connected.to_canonical();
        if !self.trusts(connected) {
            return connected;
        }
        let lines = headers.get_all("x-forwarded-for").iter().rev().filter_map(|line| line.to_str().ok());
        let hops = lines.flat_map(|line| line.rsplit(',')).map(|hop| hop.trim().parse::<IpAddr>());
        let mut nearest = connected;
        for hop in hops {
            let Ok(hop) = hop.map(|hop| hop.to_canonical()) else { break };
            nearest = hop;
            if !self.trusts(hop) {
                break;
            }
        }
        nearest
    }
}

impl FromRequestParts<Arc<App>> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Infallible> {
        let connected = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let connected = connected.map_or(IpAddr::from([0, 0, 0, 0]), |ConnectInfo(address)| address.ip());
        Ok(Self(app.proxies.origin(connected, &parts.headers)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(trusted: &[(&str, u32)], connected: &str, forwarded: &[&str]) -> String {
        let proxies = Proxies(trusted.iter().map(|(ip, bits)| (ip.parse().unwrap(), *bits)).collect());
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        proxies.origin(connected.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        assert_eq!(origin(&[], "9.9.9.9", &["1.1.1.1"]), "9.9.9.9");
        assert_eq!(origin(&[("10.0.0.0", 8)], "9.9.9.9", &["1.1.1.1"]), "9.9.9.9");
        assert_eq!(origin(&[("10.0.0.0", 8)], "10.1.2.3", &["1.1.1.1"]), "1.1.1.1");
        assert_eq!(origin(&[("10.0.0.0", 8)], "::ffff:10.1.2.3", &["1.1.1.1"]), "1.1.1.1");
        // Made up by the client, who is 2.2.2.2.
        assert_eq!(origin(&[("10.0.0.0", 8)], "10.1.2.3", &["1.1.1.1, 2.2.2.2, 10.9.9.9"]), "2.2.2.2");
        assert_eq!(origin(&[("10.0.0.0", 8)], "10.1.2.3", &["1.1.1.1", "2.2.2.2"]), "2.2.2.2");
        assert_eq!(origin(&[("10.0.0.0", 8)], "10.1.2.3", &["1.1.1.1, nonsense"]), "10.1.2.3");
        assert_eq!(origin(&[("10.0.0.0", 8)], "10.1.2.3", &[]), "10.1.2.3");
        assert_eq!(origin(&[("fd00::", 8), ("::", 0)], "fd00::1", &["2001:db8::7, fd00::2"]), "2001:db8::7");
        assert_eq!(origin(&[("0.0.0.0", 0)], "10.1.2.3", &["1.1.1.1"]), "1.1.1.1");
    }
}
