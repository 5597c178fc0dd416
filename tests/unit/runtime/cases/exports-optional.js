// export: onUpload
// optional
// data: undefined
// meta: {"missing":true,"dataError":false,"resultError":false}
module.exports = { handler: async () => 1 };
