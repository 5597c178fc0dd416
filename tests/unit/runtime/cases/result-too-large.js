// error: Error: The answer is larger than 1 MiB of JSON.
module.exports = { handler: () => 'x'.repeat(1024 * 1024) };
