// meta: {"dataError":false}
module.exports = { handler: () => 'x'.repeat(1024 * 1024 - 2) };
