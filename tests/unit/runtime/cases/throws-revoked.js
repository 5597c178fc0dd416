// error: Error: [unreadable]
module.exports = { async handler() { const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); throw proxy; } };
