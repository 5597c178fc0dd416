// Slow clients of slow-clients.test.mjs again, against the whole program instead of the guard probe.
process.env.STOA_TARGET = 'server';
await import('./slow-clients.test.mjs');
