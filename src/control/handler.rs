//! Where `listen` hands requests over to `session`.

use std::rc::Rc;
use std::sync::Arc;

use http::{Request, Response};

use crate::base::body::Body;
use crate::base::network::ClientNetwork;
use crate::base::task::LocalBox;
use crate::listen::Handler;
use crate::session::{self, AnswerHooks, App, Conn};
use crate::tls::Acceptor;

/// What all requests of the process share.
pub(super) struct SessionHandler(pub(super) Arc<App>);

impl Handler for SessionHandler {
    fn answer(
        &self,
        conn: &Rc<Conn>,
        request: Request<Body>,
        hooks: AnswerHooks,
    ) -> LocalBox<Response<Body>> {
        Box::pin(session::serve(Arc::clone(&self.0), Rc::clone(conn), request, hooks))
    }

    fn challenged(&self, name: Arc<str>, client: ClientNetwork) -> LocalBox<Option<Arc<Acceptor>>> {
        let app = Arc::clone(&self.0);
        Box::pin(async move { app.challenges.acceptor(&name, client).await })
    }
}
