// export: onUpload
// optional
// data: "told"
// meta: {"missing":null}
const many = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`a${i}`, () => i]));
module.exports = { ...many, handler: async () => 1, onUpload: async () => 'told' };
