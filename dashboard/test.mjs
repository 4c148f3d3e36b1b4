// Bundles test/ into a temporary directory and runs it with Node's own test runner.
import { build } from "esbuild";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const output = mkdtempSync(join(tmpdir(), "dashboard-test-"));
const page = 'globalThis.location = { pathname: "/", hash: "" };';
await build({ entryPoints: ["test/logic.test.ts"], outdir: output, outExtension: { ".js": ".mjs" }, bundle: true, platform: "node", format: "esm", banner: { js: page } });
const done = spawnSync(process.execPath, ["--test", join(output, "logic.test.mjs")], { stdio: "inherit" });
rmSync(output, { recursive: true });
process.exitCode = done.status ?? 1;
