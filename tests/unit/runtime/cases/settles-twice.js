// data: 1
module.exports = { handler: () => ({ then(resolve, reject) { resolve(1); resolve(2); reject(3); } }) };
