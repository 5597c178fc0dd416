// data: {"_triggerToolCall":{"action":"work"}}
// meta: {"trigger":null}
module.exports = { handler: () => ({ _triggerToolCall: { action: 'work' } }) };
