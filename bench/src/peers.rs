//! What else answers "may this customer do that?" in a Rust program, doing its nearest equivalent of one call.

use std::{
    collections::HashMap,
    error::Error,
    hint::black_box,
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    num::NonZeroU32,
    time::Duration,
};

use crate::{
    keys::Keys,
    measure::{Effort, Spread, measure, measure_together},
};

pub(crate) type Governor = governor::DefaultKeyedRateLimiter<String>;

/// A limiter that has seen every key and denies none: a billion calls a second is out of reach.
pub(crate) fn governor(keys: &Keys) -> Governor {
    let quota = governor::Quota::per_second(NonZeroU32::new(1_000_000_000).unwrap_or(NonZeroU32::MIN));
    let limiter = Governor::keyed(quota);
    for key in keys.all() {
        assert!(limiter.check_key(key).is_ok());
    }
    limiter
}

pub(crate) fn governor_allow(effort: Effort, limiter: &Governor, mut keys: Keys) -> Spread {
    measure(effort, || {
        let _ = black_box(limiter.check_key(keys.next()));
    })
}

pub(crate) fn governor_together(effort: Effort, limiter: &Governor, keys: Vec<Keys>) -> Spread {
    let threads = keys.into_iter().map(|mut keys| {
        move || {
            let _ = black_box(limiter.check_key(keys.next()));
        }
    });
    measure_together(effort, threads.collect())
}

/// Limitador with its store in memory. The contexts are made beforehand, which a program could not do.
pub(crate) fn limitador(effort: Effort, keys: &Keys) -> Result<Spread, Box<dyn Error>> {
    use limitador::{
        RateLimiter,
        limit::{Context, Limit},
    };
    let limiter = RateLimiter::new(1_000_000);
    limiter.add_limit(Limit::new("bench", u64::MAX / 2, 30 * 86_400, vec![], vec!["customer".try_into()?]));
    let namespace = "bench".into();
    let context = |key: &String| Context::from(HashMap::from([("customer".to_owned(), key.clone())]));
    let contexts: Vec<Context<'_>> = keys.all().iter().map(context).collect();
    let mut contexts = contexts.iter().cycle();
    let mut call = || -> Result<bool, limitador::errors::LimitadorError> {
        let Some(context) = contexts.next() else { return Ok(false) };
        Ok(!limiter.check_rate_limited_and_update(&namespace, context, 1)?.limited)
    };
    for _ in keys.all() {
        assert!(call()?, "limitador denied a call");
    }
    Ok(measure(effort, || {
        let _ = black_box(call());
    }))
}

/// Cedar decides without counting. Everything that can be made beforehand is.
pub(crate) fn cedar(effort: Effort) -> Result<Spread, Box<dyn Error>> {
    use cedar_policy::{Authorizer, Context, Decision, Entities, PolicySet, Request};
    let policies: PolicySet =
        r#"permit(principal == User::"customer-1", action == Action::"chat", resource);"#.parse()?;
    let request = Request::new(
        r#"User::"customer-1""#.parse()?,
        r#"Action::"chat""#.parse()?,
        r#"Model::"small""#.parse()?,
        Context::empty(),
        None,
    )?;
    let (authorizer, entities) = (Authorizer::new(), Entities::empty());
    let answer = authorizer.is_authorized(&request, &policies, &entities);
    assert_eq!(answer.decision(), Decision::Allow);
    Ok(measure(effort, || {
        black_box(authorizer.is_authorized(&request, &policies, &entities));
    }))
}

/// `INCR` on a Redis server of this machine: what a counter kept outside of the process costs at the least.
pub(crate) fn redis(effort: Effort, mut keys: Keys) -> Result<Spread, Box<dyn Error>> {
    let stream = TcpStream::connect_timeout(&"127.0.0.1:6379".parse()?, Duration::from_secs(1))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut connection = Redis { answers: BufReader::new(stream.try_clone()?), commands: stream };
    let used = keys.clone();
    connection.call("INCR", keys.next())?;
    let spread = measure(effort, || {
        let _ = black_box(connection.call("INCR", keys.next()));
    });
    for key in used.all() {
        connection.call("DEL", key)?;
    }
    Ok(spread)
}

struct Redis {
    commands: TcpStream,
    answers: BufReader<TcpStream>,
}

impl Redis {
    /// Sends one command about one key and reads its answer, a number.
    fn call(&mut self, command: &str, key: &str) -> Result<u64, Box<dyn Error>> {
        let key = format!("limitr-bench:{key}");
        let words = format!("*2\r\n${}\r\n{command}\r\n${}\r\n{key}\r\n", command.len(), key.len());
        self.commands.write_all(words.as_bytes())?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        let number = answer.strip_prefix(':').ok_or_else(|| format!("redis answered `{}`", answer.trim()))?;
        Ok(number.trim().parse()?)
    }
}
