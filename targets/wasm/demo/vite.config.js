import { fileURLToPath } from "node:url";

const npm = (path) => fileURLToPath(new URL(`../npm/${path}`, import.meta.url));

// The package as it stands beside the demo, without an installation.
export default {
  resolve: {
    alias: [
      { find: "mote-runtime/page", replacement: npm("page/page.js") },
      { find: /^mote-runtime$/, replacement: npm("src/index.js") },
    ],
  },
  server: { fs: { allow: [fileURLToPath(new URL("..", import.meta.url))] } },
};
