// kind: widget
// data: {"success":true,"_triggerToolCall":{"action":"work","id":5}}
// meta: {"trigger":{"action":"work","id":5}}
module.exports = { handler: () => ({ success: true, _triggerToolCall: { action: 'work', id: 5 } }) };
