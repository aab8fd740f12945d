//! Where `listen` hands requests over to `session`.

use std::rc::Rc;
use std::sync::Arc;

use http::{Request, Response};

use crate::base::body::Body;
use crate::base::task::LocalBox;
use crate::listen::House;
use crate::session::{self, Conn, Shared};

/// What all requests of the process share.
pub(super) struct Hall(pub(super) Arc<Shared>);

impl House for Hall {
    fn answer(&self, conn: &Rc<Conn>, request: Request<Body>) -> LocalBox<Response<Body>> {
        Box::pin(session::serve(Arc::clone(&self.0), Rc::clone(conn), request))
    }
}
