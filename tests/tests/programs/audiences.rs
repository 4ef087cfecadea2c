//! Which services tokens are for: a map that can be full.

use anyhow::Result;
use jiff::{Timestamp, ToSpan as _};
use token_agent::{
    reconcile::Reconciler,
    store::{Change, Enforced, Revision},
};
use token_agent_common::reason::Reason;
use token_agent_tests::{
    frame::Frame,
    guard::{Guard, configuration},
    rows::{PROGRAMS, address, bearer},
};

#[test]
fn a_full_map_stops_no_revocation() -> Result<()> {
    let names: Vec<String> = (0..1_100).map(|i| format!("s{i}")).collect();
    let sections: String = names
        .iter()
        .zip(8_000..)
        .map(|(name, port)| format!("[[service]]\nname = \"{name}\"\nlisten = [\"*:{port}\"]\n"))
        .collect();
    let mut guard = Guard::load(&sections)?;
    let dir = tempfile::tempdir()?;
    let text = format!("[datapath]\ninterfaces = [\"lo\"]\n{sections}");
    let mut reconciler = Reconciler::new(&configuration(dir.path(), &text)?.services);
    let [anywhere, somewhere] = ["anywhere", "somewhere"].map(|token| guard.digest(token));
    let token = |digest, revoked, services: Vec<String>| Change {
        revision: Revision(1),
        upserts: vec![Enforced {
            digest,
            not_before: Timestamp::now() - 1.hour(),
            expires_at: Timestamp::now() + 1.hour(),
            revoked,
            services,
        }],
        removals: Vec::new(),
    };

    reconciler.apply(&mut guard.kernel, &token(anywhere, false, Vec::new()))?;
    let all_but = |i: usize| [&names[..i], &names[i + 1..]].concat();
    let mut sets = (0..names.len()).map(all_but);
    let full = loop {
        let services = sets.next().expect("they are too many");
        let is_room = reconciler.has_room_for(&services);
        let change = token(somewhere, false, services);
        if reconciler.apply(&mut guard.kernel, &change).is_err() {
            assert!(!is_room);
            break change;
        }
        assert!(is_room);
    };
    assert!(reconciler.has_room_for(&all_but(0)), "it is known");

    // Where its audience is not known, a token is for nobody.
    let verdict = |guard: &mut Guard, name: &str| -> Result<Reason> {
        let frame = Frame::new(address("10.0.0.5"), 8_500, bearer(name));
        let [first, second] = PROGRAMS.map(|program| guard.run(program, &frame.build()));
        let reasons = [first?.1[0].0.2, second?.1[0].0.2];
        assert_eq!(reasons[0], reasons[1]);
        Ok(reasons[0])
    };
    assert_eq!(verdict(&mut guard, "somewhere")?, Reason::WrongService);
    assert_eq!(verdict(&mut guard, "anywhere")?, Reason::Allowed);
    let revoked = token(anywhere, true, Vec::new());
    assert!(reconciler.apply(&mut guard.kernel, &revoked).is_err());
    assert_eq!(verdict(&mut guard, "anywhere")?, Reason::Revoked);
    let wanted = [full.upserts, revoked.upserts].concat();
    assert!(reconciler.reconcile(&mut guard.kernel, &wanted).is_err());
    assert_eq!(verdict(&mut guard, "anywhere")?, Reason::Revoked);
    Ok(())
}
