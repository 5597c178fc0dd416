// error: Error: from then
module.exports = { handler: () => ({ then(resolve, reject) { reject(new Error('from then')); resolve(1); throw 2; } }) };
