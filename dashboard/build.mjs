// Bundles src/ into the directory given as argument: hashed names, and an index.html that names them.
import { build } from "esbuild";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

const output = process.argv[2];
if (!output) throw new Error("usage: node build.mjs OUTPUT-DIRECTORY");
rmSync(output, { recursive: true, force: true });
mkdirSync(output, { recursive: true });
const result = await build({
  entryPoints: ["src/main.tsx", "src/style.css"],
  outdir: output,
  bundle: true,
  splitting: true,
  format: "esm",
  target: "es2022",
  jsx: "automatic",
  jsxImportSource: "preact",
  minify: true,
  legalComments: "none",
  entryNames: "[name]-[hash]",
  chunkNames: "[name]-[hash]",
  metafile: true,
});
const named = {};
for (const [path, made] of Object.entries(result.metafile.outputs)) {
  if (made.entryPoint === "src/main.tsx") named.SCRIPT = basename(path);
  if (made.entryPoint === "src/style.css") named.STYLE = basename(path);
}
const page = readFileSync("index.html", "utf8").replace(/\{(SCRIPT|STYLE)\}/g, (_, key) => named[key]);
writeFileSync(join(output, "index.html"), page);
