// HTTP/1 heads and bodies of h1-parser.test.mjs again, against the whole program instead of the guard probe.
process.env.STOA_TARGET = 'server';
await import('./h1-parser.test.mjs');
