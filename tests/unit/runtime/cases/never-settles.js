// stuck
module.exports = { handler: () => new Promise(() => {}) };
