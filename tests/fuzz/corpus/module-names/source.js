import a from 'a';
const b = require('./b');
export * from "@c/d";
