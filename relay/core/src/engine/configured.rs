//! The settings changed while records are on their way: the engine goes on with all of them, under the new settings.
//!
//! What is in flight is judged as the route was when it left; whatever happens next, to it or to what waits, happens under the
//! new settings. Breakers, holds and counts stay: the endpoint is as healthy as it was a moment ago.

use std::sync::Arc;
use std::time::Duration;

use super::Engine;
use crate::settings::Destination;

impl Engine {
    pub(super) fn on_configured(
        &mut self,
        settings: Arc<Destination>,
        buffer_bytes_max: usize,
        now: Duration,
    ) {
        for state in &mut self.routes {
            let route = settings.route_of(&state.model);
            state
                .breaker
                .configure(route.breaker, settings.breaker_open);
            // Whoever gathers may wait as long as the new settings say, from now on.
            let wait_max = route.batch.map(|batch| now.saturating_add(batch.wait_max));
            state.gathers_until = state.gathers_until.and(wait_max).min(state.gathers_until);
            state.route = Arc::new(route.clone());
        }
        // Nobody is to be waited for longer than the new settings allow.
        let hold_max = now.saturating_add(settings.retry_after_max);
        self.hold_until = self.hold_until.map(|until| until.min(hold_max));
        self.rate.set_limit(settings.rate_limit);
        self.limiter.configure(&settings);
        self.limits.buffer_bytes_max = buffer_bytes_max;
        self.settings = settings;
    }
}
