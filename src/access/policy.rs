//! What a route demands: all of some rules, or one of them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{StatusCode, Uri};

use super::applicant::Applicant;
use super::denial::{Denial, DenialReason};
use super::pass::Pass;
use super::verifier::Verifier;
use crate::config::plan::AccessDemand;

/// The rules of a route, at work.
#[derive(Debug)]
pub struct Policy {
    /// In the order they are asked.
    verifiers: Vec<Arc<Verifier>>,
    /// Whether one of them is enough.
    is_any: bool,
}

impl Policy {
    /// The policy that a route demands.
    ///
    /// # Errors
    /// The first name that no rule has.
    pub fn build(
        demand: &AccessDemand,
        verifiers: &BTreeMap<Arc<str>, Arc<Verifier>>,
    ) -> Result<Policy, Arc<str>> {
        let find = |name: &Arc<str>| verifiers.get(name).cloned().ok_or_else(|| Arc::clone(name));
        let verifiers = demand.names().iter().map(find).collect::<Result<Vec<_>, _>>()?;
        Ok(Policy { verifiers, is_any: matches!(demand, AccessDemand::Any(_)) })
    }

    /// Whether the two ask the same rules at work in the same way.
    pub fn is(&self, other: &Policy) -> bool {
        let same = |(one, other): (&Arc<Verifier>, &Arc<Verifier>)| Arc::ptr_eq(one, other);
        self.is_any == other.is_any
            && self.verifiers.len() == other.verifiers.len()
            && self.verifiers.iter().zip(&other.verifiers).all(same)
    }

    /// Whether the applicant may pass. Who may not is counted once, for the rule that is told of:
    /// the first that says no; where one of several would have been enough, the first that says
    /// what to show, or when to come again. Without rules nobody may pass: the configuration has no
    /// such demand, and one that is made otherwise opens nothing.
    ///
    /// # Errors
    /// Which rule says no, and why.
    pub async fn verify(&self, applicant: &Applicant<'_>) -> Result<Pass, Denial> {
        if self.verifiers.is_empty() {
            let (rule, reason) = ("(none)".into(), DenialReason::NoRule);
            return Err(Denial {
                rule,
                reason,
                status: reason.status(),
                challenge: None,
                retry_after: None,
                page: None,
                detail: None,
            });
        }
        let mut pass = Pass::FOR_GOOD;
        let mut told: Option<(&Arc<Verifier>, Denial)> = None;
        for verifier in &self.verifiers {
            match verifier.verify(applicant).await {
                Ok(one) if self.is_any => return Ok(one),
                Ok(one) => pass = pass.and(one),
                Err(denial) => {
                    let helps = |denial: &Denial| denial.status != StatusCode::FORBIDDEN;
                    if told.as_ref().is_none_or(|(_, before)| !helps(before) && helps(&denial)) {
                        told = Some((verifier, denial));
                    }
                    if !self.is_any {
                        break;
                    }
                }
            }
        }
        let Some((verifier, denial)) = told else { return Ok(pass) };
        verifier.count(denial.reason);
        Err(denial)
    }

    /// Whether a client that was let pass before would be refused now for its address, which is
    /// what is known of it. Where another rule may have been enough for it, it would not.
    pub fn refuses_address(&self, client: Option<IpAddr>) -> bool {
        let refuses = |verifier: &Arc<Verifier>| verifier.refuses_address(client);
        match self.is_any {
            true => self.verifiers.iter().all(refuses),
            false => self.verifiers.iter().any(refuses),
        }
    }

    /// How far a backend may put off the end of a session that was opened by these rules: as far as
    /// the one lets it that is the strictest of those by which a session may end.
    pub fn extension_max(&self) -> Duration {
        let extensions = self.verifiers.iter().filter_map(|verifier| verifier.extension_max());
        extensions.min().unwrap_or_default()
    }

    /// Removes from a request that passes what it showed to these rules, to whichever of them: it
    /// is for nobody behind them, but where a rule says so.
    pub fn strip(&self, head: &mut Parts) {
        self.verifiers.iter().for_each(|verifier| verifier.strip(head));
    }

    /// Removes from a target what is for no log.
    pub fn redact(&self, uri: &mut Uri) {
        self.verifiers.iter().for_each(|verifier| verifier.redact(uri));
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;
    use crate::access::PasswordChecker;
    use crate::config::plan::{AccessRule, AccessTest, AddressLists, CertificateMatch, Networks};
    use crate::observe::metrics::Metrics;

    fn rule(name: &str, net: &str) -> Arc<AccessRule> {
        let allow = Networks { nets: vec![net.parse().unwrap()], unix: false };
        let lists = AddressLists { allow: Some(allow), deny: Networks::default() };
        Arc::new(AccessRule { name: name.into(), test: AccessTest::Addresses(lists) })
    }

    fn office_and_lab() -> BTreeMap<Arc<str>, Arc<Verifier>> {
        let metrics = Metrics::new(1);
        let rules = [rule("office", "10.0.0.0/8"), rule("lab", "10.1.0.0/16")];
        let build = |rule| {
            Verifier::build(&rule, None, &PasswordChecker::new(), &BTreeMap::new(), &metrics)
                .unwrap()
        };
        rules.map(|rule| (Arc::clone(&rule.name), build(rule))).into()
    }

    fn names() -> Vec<Arc<str>> {
        vec!["office".into(), "lab".into()]
    }

    async fn denied_by(policy: &Policy, ip: &str) -> Option<String> {
        let client: IpAddr = ip.parse().unwrap();
        let (network, headers, uri) = (client.into(), &HeaderMap::new(), &Uri::default());
        let applicant = Applicant {
            client: Some(client),
            network,
            headers,
            uri,
            certificate: None,
            asking: None,
        };
        policy.verify(&applicant).await.err().map(|denial| {
            assert!(matches!(denial.reason, DenialReason::Address | DenialReason::NoRule));
            denial.rule.to_string()
        })
    }

    #[tokio::test]
    async fn all_rules_let_a_request_pass_or_any_of_them_does() {
        let verifiers = office_and_lab();
        let all = Policy::build(&AccessDemand::All(names()), &verifiers).unwrap();
        assert_eq!(denied_by(&all, "10.1.0.1").await, None);
        assert_eq!(denied_by(&all, "10.2.0.1").await.as_deref(), Some("lab"));
        assert_eq!(denied_by(&all, "192.0.2.1").await.as_deref(), Some("office"));
        let any = Policy::build(&AccessDemand::Any(names()), &verifiers).unwrap();
        assert_eq!(denied_by(&any, "10.2.0.1").await, None);
        assert_eq!(denied_by(&any, "192.0.2.1").await.as_deref(), Some("office"));
        assert!(!all.is(&any) && all.is(&all));
    }

    #[test]
    fn an_address_alone_refuses_where_no_other_rule_may_have_been_enough() {
        let mut verifiers = office_and_lab();
        let certificate =
            AccessTest::Certificate(CertificateMatch { names: Vec::new(), sha256: Vec::new() });
        let rule = Arc::new(AccessRule { name: "card".into(), test: certificate });
        let metrics = Metrics::new(1);
        let card =
            Verifier::build(&rule, None, &PasswordChecker::new(), &BTreeMap::new(), &metrics);
        verifiers.insert("card".into(), card.unwrap());
        let refuses = |demand: AccessDemand, ip: &str| {
            let policy = Policy::build(&demand, &verifiers).unwrap();
            policy.refuses_address(Some(ip.parse().unwrap()))
        };
        let with_card = || [names(), vec!["card".into()]].concat();
        assert!(!refuses(AccessDemand::All(with_card()), "10.1.0.1"));
        assert!(refuses(AccessDemand::All(with_card()), "10.2.0.1"));
        assert!(!refuses(AccessDemand::Any(names()), "10.2.0.1"));
        assert!(refuses(AccessDemand::Any(names()), "192.0.2.1"));
        assert!(!refuses(AccessDemand::Any(with_card()), "192.0.2.1"));
    }

    #[tokio::test]
    async fn a_demand_without_rules_lets_nobody_pass() {
        for demand in [AccessDemand::Any(Vec::new()), AccessDemand::All(Vec::new())] {
            let policy = Policy::build(&demand, &office_and_lab()).unwrap();
            assert_eq!(denied_by(&policy, "10.1.0.1").await.as_deref(), Some("(none)"));
        }
    }

    #[test]
    fn a_name_that_no_rule_has_lets_nobody_pass() {
        let demand = AccessDemand::Any(vec!["home".into()]);
        assert_eq!(Policy::build(&demand, &office_and_lab()).unwrap_err(), "home".into());
    }

    #[test]
    fn a_rule_that_did_not_change_is_the_same_at_work() {
        let metrics = Metrics::new(1);
        let passwords = PasswordChecker::new();
        let build = |net, before| {
            Verifier::build(&rule("office", net), before, &passwords, &BTreeMap::new(), &metrics)
                .unwrap()
        };
        let first = build("10.0.0.0/8", None);
        assert!(Arc::ptr_eq(&first, &build("10.0.0.0/8", Some(&first))));
        assert!(!Arc::ptr_eq(&first, &build("10.0.0.0/9", Some(&first))));
    }
}
