//! Which path asks what of the agent.

use std::sync::Arc;
use std::time::Duration;

use axum::{
    Extension, Json, Router,
    body::{Body, Bytes},
    extract::{Path, Request, State},
    http::{
        StatusCode,
        header::{ALLOW, CONTENT_TYPE},
    },
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    body::{Asked, JsonBody},
    server::{Endless, Shutdown},
};
use crate::{
    agent::Agent,
    events::Follower,
    metrics::{self, CONTENT_TYPE as OPEN_METRICS},
    token::TokenId,
    wire::{
        Actor, Code, Event, EventQuery, ExplainRequest, Explanation, IssueRequest, Issued,
        ListQuery, Listing, ModeAnswer, ModeRequest, Problem, RevokeAnswer, RevokeRequest, Status,
        TokenDetail,
    },
};

/// The largest body, in bytes.
const MOST: usize = 64 * 1024;

/// The largest body of a revocation, in bytes: it may hold many secrets.
const MOST_REVOKED: usize = 1024 * 1024;

/// How long it may take to find an answer. What was asked for may happen nevertheless.
const ANSWER_TIME: Duration = Duration::from_secs(30);

/// How many may follow the events at once: each holds a connection for as long as it likes.
const FOLLOWERS: usize = 16;

type Answer<T> = Result<Json<T>, Problem>;

#[derive(Clone, Debug)]
struct Context {
    agent: Arc<Agent>,
    followers: Arc<Semaphore>,
    shutdown: Shutdown,
}

/// What the control socket answers. Every request carries an [`Actor`].
pub fn control(agent: Arc<Agent>, shutdown: Shutdown) -> Router {
    let context = Context {
        agent: Arc::clone(&agent),
        followers: Arc::new(Semaphore::new(FOLLOWERS)),
        shutdown,
    };
    let routes = Router::new()
        .route("/v1/status", get(status))
        .route("/v1/tokens", get(list).post(issue))
        .route("/v1/tokens/{id}", get(show))
        .route("/v1/revoke", post(revoke))
        .route("/v1/explain", post(explain))
        .route("/v1/services/{name}/mode", post(set_mode))
        .route("/v1/events", get(tell))
        .with_state(context)
        .route("/metrics", get(scrape).with_state(agent));
    common(routes)
}

/// What the metrics' listener answers.
pub fn metrics(agent: Arc<Agent>) -> Router {
    common(
        Router::new()
            .route("/metrics", get(scrape))
            .with_state(agent),
    )
}

pub(super) fn common(routes: Router) -> Router {
    let routes = routes
        .fallback(async || Problem::new(Code::NotFound, "there is nothing at this path"))
        .layer(middleware::from_fn(within_time));
    // Around them: only there has the answer to a wrong method its `Allow`.
    Router::new()
        .fallback_service(routes)
        .layer(middleware::map_response(told_methods))
}

/// An answer to a wrong method tells which ones are right.
async fn told_methods(response: Response) -> Response {
    let allowed = response.headers().get(ALLOW).cloned();
    match allowed {
        Some(allowed) if response.status() == StatusCode::METHOD_NOT_ALLOWED => {
            let methods = allowed.to_str().unwrap_or_default().replace(',', ", ");
            ([(ALLOW, allowed)], Problem::wrong_method(&methods)).into_response()
        }
        Some(_) | None => response,
    }
}

async fn within_time(request: Request, next: Next) -> Response {
    tokio::time::timeout(ANSWER_TIME, next.run(request))
        .await
        .unwrap_or_else(|_elapsed| {
            Problem::new(
                Code::Timeout,
                "no answer in time; what was asked for may happen nevertheless",
            )
            .into_response()
        })
}

async fn status(State(context): State<Context>) -> Answer<Status> {
    Ok(Json(context.agent.status().await?))
}

async fn list(State(context): State<Context>, Asked(query): Asked<ListQuery>) -> Answer<Listing> {
    Ok(Json(context.agent.list(query).await?))
}

async fn issue(
    State(context): State<Context>,
    Extension(actor): Extension<Actor>,
    JsonBody(request): JsonBody<IssueRequest, MOST>,
) -> Result<(StatusCode, Json<Issued>), Problem> {
    let issued = context.agent.issue(actor, request).await?;
    Ok((StatusCode::CREATED, Json(issued)))
}

async fn show(State(context): State<Context>, Path(id): Path<String>) -> Answer<TokenDetail> {
    let id: TokenId = id
        .parse()
        .map_err(|error| Problem::new(Code::BadRequest, format!("{error}")))?;
    Ok(Json(context.agent.show(id).await?))
}

async fn revoke(
    State(context): State<Context>,
    Extension(actor): Extension<Actor>,
    JsonBody(request): JsonBody<RevokeRequest, MOST_REVOKED>,
) -> Answer<RevokeAnswer> {
    Ok(Json(context.agent.revoke(actor, request).await?))
}

async fn explain(
    State(context): State<Context>,
    JsonBody(request): JsonBody<ExplainRequest, MOST>,
) -> Answer<Explanation> {
    Ok(Json(context.agent.explain(request).await?))
}

async fn set_mode(
    State(context): State<Context>,
    Extension(actor): Extension<Actor>,
    Path(service): Path<String>,
    JsonBody(request): JsonBody<ModeRequest, MOST>,
) -> Answer<ModeAnswer> {
    Ok(Json(context.agent.set_mode(actor, service, request).await?))
}

async fn tell(
    State(context): State<Context>,
    Extension(endless): Extension<Endless>,
    Asked(query): Asked<EventQuery>,
) -> Result<Response, Problem> {
    let lines = if query.follow {
        let place = Arc::clone(&context.followers)
            .try_acquire_owned()
            .map_err(|_| {
                let most = format!("at most {FOLLOWERS} may follow the events at once");
                Problem::new(Code::Overloaded, most)
            })?;
        endless.set();
        follow(
            context.agent.events.follow(),
            query,
            context.shutdown,
            place,
        )
    } else {
        let recent = context.agent.events.recent();
        let lines = recent.iter().filter(|event| query.matches(event));
        Body::from(lines.flat_map(|event| line(event)).collect::<Vec<_>>())
    };
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], lines).into_response())
}

/// Events as they come, until the follower or the agent goes.
fn follow(
    follower: Follower,
    query: EventQuery,
    shutdown: Shutdown,
    place: OwnedSemaphorePermit,
) -> Body {
    let state = (follower, query, shutdown, place);
    Body::from_stream(stream::unfold(state, async |mut state| {
        let (follower, query, shutdown, _place) = &mut state;
        let event = loop {
            let event = tokio::select! {
                event = follower.next() => event?,
                () = shutdown.wait() => return None,
            };
            if query.matches(&event) {
                break event;
            }
        };
        Some((
            Ok::<_, std::convert::Infallible>(Bytes::from(line(&event))),
            state,
        ))
    }))
}

fn line(event: &Event) -> Vec<u8> {
    // An event has nothing that JSON cannot say.
    let mut line = serde_json::to_vec(event).unwrap_or_default();
    line.push(b'\n');
    line
}

async fn scrape(State(agent): State<Arc<Agent>>) -> Result<Response, Problem> {
    let text = metrics::text(agent.scrape().await?);
    Ok(([(CONTENT_TYPE, OPEN_METRICS)], text).into_response())
}
