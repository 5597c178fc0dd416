// HTTP/2 of h2-conformance.test.mjs again, against the whole program instead of the guard probe.
process.env.STOA_TARGET = 'server';
await import('./h2-conformance.test.mjs');
