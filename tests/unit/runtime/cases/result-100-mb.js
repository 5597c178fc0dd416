// error: Error: The answer is larger than 1 MiB of JSON.
module.exports = { handler: () => ({ a: Array(10).fill('x'.repeat(5 * 1024 * 1024)) }) };
