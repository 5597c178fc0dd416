// kind: widget
// error: TypeError: _triggerToolCall must be an object with an action
module.exports = { handler: () => ({ _triggerToolCall: 'work' }) };
