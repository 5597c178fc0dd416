// data: "a\u0000b é 😀 \ufffd|\ufffd \\ud800 \\\\"
module.exports = { handler: () => 'a\0b é 😀 \ud800|\udc00 \\ud800 \\\\' };
