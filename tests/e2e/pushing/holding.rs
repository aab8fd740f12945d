//! Messages to sessions whose backend is away.

use super::*;

#[tokio::test]
async fn a_session_is_pushed_to_while_its_backend_is_away_and_after_it_came_back() {
    let backend = Backend::echo("a").await;
    let site = pushed_to(site(&[&backend]), "").route("hold = { resume = \"always\" }");
    let proxy = Proxy::start(&site).await;
    let mut session = proxy.client().path("/?user=ada").open().await;
    session.echo("before").await;
    let address = backend.kill().await;
    let held = "tidegate_sessions_held{route=\"all\"} 1";
    until("the session to be held", || proxy.scrape().contains(held)).await;
    for number in 0..3 {
        let report = push(&proxy, "label=user:ada&wait=written", &number.to_string()).await;
        assert_eq!(report["written"], 1, "{report}");
    }
    session.send("kept").await;
    let backend = Backend::echo_at("a", address).await;
    assert_eq!(read(&mut session, 4).await, ["0", "1", "2", "kept"]);
    assert_eq!(push(&proxy, "label=user:ada", "after").await["queued"], 1);
    assert_eq!(session.text().await, "after");
    drop((session, backend));
    proxy.stop().await;
}
