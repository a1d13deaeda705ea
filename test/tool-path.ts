/** Where tests and benchmarks look for somebody else's tools. Not npm's: node_modules/.bin has an `nft` that is something else. */
export const toolPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
