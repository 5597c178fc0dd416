// The attacks of guard-attacks.test.mjs again, against the whole program instead of the guard probe.
process.env.STOA_TARGET = 'server';
await import('./guard-attacks.test.mjs');
