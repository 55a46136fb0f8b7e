//! The platform as the metered path uses it: few crossings, plain values (`platform.js`).

use crate::failure::{Failure, Outcome};
use futures_util::future::{Either, select};
use js_sys::{Array, Promise, Uint8Array};
use legis_core::problem::{Dependency, Problem};
use legis_core::whole;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{ReadableStream, Request, Response};
use worker::Env;
use worker::worker_sys::Context as JsContext;

#[wasm_bindgen(module = "/src/platform.js")]
extern "C" {
    fn head(request: &Request, names: &Array) -> String;
    #[wasm_bindgen(js_name = responseHead)]
    fn response_head(response: &Response, names: &Array) -> String;
    #[wasm_bindgen(catch)]
    pub(crate) fn respond(status: u16, lines: &str, body: &JsValue) -> Result<Response, JsValue>;
    #[wasm_bindgen(catch)]
    fn forward(
        url: &str,
        method: &str,
        lines: &str,
        body: &JsValue,
        deadline: &JsDeadline,
    ) -> Result<Promise, JsValue>;

    #[wasm_bindgen(catch, js_name = forwardMessage)]
    fn forward_message(
        request: &Request,
        url: &str,
        lines: &str,
        body: &JsValue,
        deadline: &JsDeadline,
    ) -> Result<Promise, JsValue>;

    fn exchange(url: &str, method: &str, lines: &str, body: &JsValue) -> Promise;
    type Exchanged;
    #[wasm_bindgen(method, getter)]
    fn status(this: &Exchanged) -> u16;
    #[wasm_bindgen(method, getter)]
    fn body(this: &Exchanged) -> Vec<u8>;

    #[wasm_bindgen(js_name = bodyOf)]
    fn whole_body(request: &Request, most: usize) -> Promise;

    /// A body that passes by and is looked at.
    pub(crate) type Watched;
    #[wasm_bindgen(constructor)]
    pub(crate) fn watch(body: &ReadableStream, most: usize, silence: u32, longest: u32) -> Watched;
    #[wasm_bindgen(method, getter)]
    pub(crate) fn body(this: &Watched) -> ReadableStream;
    #[wasm_bindgen(method, getter)]
    pub(crate) fn end(this: &Watched) -> Promise;
    #[wasm_bindgen(method, getter)]
    pub(crate) fn close(this: &Watched) -> String;
    #[wasm_bindgen(method, getter)]
    pub(crate) fn length(this: &Watched) -> usize;
    #[wasm_bindgen(method)]
    pub(crate) fn bytes(this: &Watched) -> Vec<u8>;

    #[wasm_bindgen(js_name = Deadline)]
    pub(crate) type JsDeadline;
    #[wasm_bindgen(constructor, js_class = Deadline)]
    fn new(milliseconds: u32, context: Option<&JsContext>) -> JsDeadline;
    #[wasm_bindgen(method, js_class = Deadline)]
    fn end(this: &JsDeadline);

    #[wasm_bindgen(js_name = count)]
    fn counted(env: &JsValue, binding: &str, key: &str) -> Promise;

    type Wait;
    fn timer(milliseconds: u32) -> Wait;
    fn cancel(wait: &Wait);
    #[wasm_bindgen(method, getter)]
    fn promise(this: &Wait) -> Promise;
}

/// The binding of that name, if there is one.
pub(crate) fn binding(env: &Env, name: &str) -> Option<JsValue> {
    let bound = js_sys::Reflect::get(env, &JsValue::from_str(name)).ok()?;
    bound.is_object().then_some(bound)
}

/// Counts under a name; whether it fits what the binding allows.
pub(crate) async fn count(env: &Env, binding: &str, key: &str) -> Result<bool, String> {
    match JsFuture::from(counted(env, binding, key)).await {
        Ok(fits) => Ok(fits.is_truthy()),
        Err(error) => Err(message(&error)),
    }
}

/// One limit for all that a request waits for.
pub(crate) struct Deadline(JsDeadline);

impl Deadline {
    pub(crate) fn new(milliseconds: u32) -> Self {
        Self(JsDeadline::new(milliseconds, None))
    }

    /// One until which the request goes on even when its caller hangs up.
    pub(crate) fn outliving(milliseconds: u32, context: &JsContext) -> Self {
        Self(JsDeadline::new(milliseconds, Some(context)))
    }
}

impl AsRef<JsDeadline> for Deadline {
    fn as_ref(&self) -> &JsDeadline {
        &self.0
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// A request to somebody else, its headers as lines.
pub(crate) struct Outbound {
    pub(crate) url: String,
    pub(crate) method: String,
    pub(crate) headers: String,
    pub(crate) body: JsValue,
}

impl Outbound {
    pub(crate) async fn send(&self, deadline: &Deadline) -> Result<Response, JsValue> {
        let sent = forward(
            &self.url,
            &self.method,
            &self.headers,
            &self.body,
            &deadline.0,
        )?;
        Ok(JsFuture::from(sent).await?.unchecked_into())
    }

    /// The same for a message of MCP that came with `request`, whose headers repeat what is in it.
    pub(crate) async fn send_message(
        &self,
        request: &Request,
        deadline: &Deadline,
    ) -> Result<Response, JsValue> {
        let sent = forward_message(request, &self.url, &self.headers, &self.body, &deadline.0)?;
        Ok(JsFuture::from(sent).await?.unchecked_into())
    }
}

impl Outbound {
    /// Asks, and reads all of the answer: its status, and its body.
    pub(crate) async fn ask(
        &self,
        limit: Duration,
        service: Dependency,
    ) -> Outcome<(u16, Vec<u8>)> {
        let asked = exchange(&self.url, &self.method, &self.headers, &self.body);
        let answer = in_time(limit, service, JsFuture::from(asked))
            .await?
            .map_err(|error| failed(&error, service))?;
        let answer: Exchanged = answer.unchecked_into();
        Ok((answer.status(), answer.body()))
    }
}

/// The body of a request, read piece by piece; nothing when it is longer than `most`.
pub(crate) async fn body_of(request: &Request, most: usize) -> Result<Option<Vec<u8>>, JsValue> {
    let body = JsFuture::from(whole_body(request, most)).await?;
    let body: Option<Uint8Array> = body.dyn_into().ok();
    Ok(body.map(|body| body.to_vec()))
}

/// Does something after the answer, for as long as the platform lets it.
pub(crate) fn afterwards(context: &JsContext, work: impl Future<Output = ()> + 'static) {
    let work = wasm_bindgen_futures::future_to_promise(async {
        work.await;
        Ok(JsValue::UNDEFINED)
    });
    if let Err(error) = context.wait_until(&work) {
        worker::console_error!("{}", message(&error));
    }
}

/// A wait that ends when it is dropped. (The crate's own remembers only who polled it first.)
struct Timer {
    wait: Wait,
    over: JsFuture,
}

impl Timer {
    fn new(limit: Duration) -> Self {
        let wait = timer(u32::try_from(limit.as_millis()).unwrap_or(u32::MAX));
        Self {
            over: JsFuture::from(wait.promise()),
            wait,
        }
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.over).poll(context).map(drop)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        cancel(&self.wait);
    }
}

/// Lets time pass.
pub(crate) async fn wait(time: Duration) {
    Timer::new(time).await;
}

/// `future`, or nothing when it takes longer than `limit`.
pub(crate) async fn within<T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    match select(pin!(future), Timer::new(limit)).await {
        Either::Left((value, _)) => Some(value),
        Either::Right(_) => None,
    }
}

/// The same, or a failure that tells who was too slow.
pub(crate) async fn in_time<T>(
    limit: Duration,
    dependency: Dependency,
    future: impl Future<Output = T>,
) -> Outcome<T> {
    let late = || Failure::new(Problem::TimedOut(dependency), overdue(limit.as_millis()));
    within(limit, future).await.ok_or_else(late)
}

fn overdue(milliseconds: u128) -> String {
    format!("no answer within {milliseconds} ms")
}

/// Names of headers, as JavaScript has them; made once.
pub(crate) fn names(names: &[&str]) -> Array {
    names.iter().map(|name| JsValue::from_str(name)).collect()
}

/// A line of `platform.js`: a header's value, or nothing.
fn value(line: &str) -> Option<String> {
    (line != "\0").then(|| line.to_owned())
}

/// Method, address and headers of a request.
pub(crate) struct RequestHead {
    pub(crate) method: String,
    pub(crate) url: String,
    /// In the order of the names.
    pub(crate) headers: Vec<Option<String>>,
}

pub(crate) fn read(request: &Request, names: &Array) -> RequestHead {
    let head = head(request, names);
    let mut lines = head.split('\n');
    RequestHead {
        method: lines.next().unwrap_or_default().to_owned(),
        url: lines.next().unwrap_or_default().to_owned(),
        headers: lines.map(value).collect(),
    }
}

/// Status and headers of a response.
pub(crate) struct ResponseHead {
    pub(crate) status: u16,
    /// In the order of the names.
    pub(crate) headers: Vec<Option<String>>,
}

pub(crate) fn read_response(response: &Response, names: &Array) -> ResponseHead {
    let head = response_head(response, names);
    let mut lines = head.split('\n');
    ResponseHead {
        status: lines
            .next()
            .and_then(|status| status.parse().ok())
            .unwrap_or(0),
        headers: lines.map(value).collect(),
    }
}

/// Headers as lines, name and value in turn. A value that is more than a line would be two.
pub(crate) fn lines<'h>(headers: impl Iterator<Item = (&'h str, &'h str)>) -> String {
    let mut lines = String::new();
    for (name, value) in headers {
        if value.contains('\n') {
            continue;
        }
        if !lines.is_empty() {
            lines.push('\n');
        }
        lines.push_str(name);
        lines.push('\n');
        lines.push_str(value);
    }
    lines
}

/// Why a wait ended without an answer: it took too long, or what was waited for failed.
pub(crate) fn failed(error: &JsValue, dependency: Dependency) -> Failure {
    if let Some(milliseconds) = error.as_f64().and_then(whole::from_f64) {
        let reason = overdue(milliseconds.into());
        return Failure::new(Problem::TimedOut(dependency), reason);
    }
    Failure::unavailable(dependency, message(error))
}

/// What an exception of JavaScript says.
pub(crate) fn message(error: &JsValue) -> String {
    error.dyn_ref::<js_sys::Error>().map_or_else(
        || format!("{error:?}"),
        |error| String::from(error.message()),
    )
}
