/**
 * A registry on loopback that has the packages under test, and passes on to the registry that npm is set to for all
 * others.
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { basename, join } from "node:path";
import { run } from "./commands.mjs";
import { tool } from "./tools.mjs";

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/** Verdaccio's settings; JSON is YAML. Ours are never looked for elsewhere, where another may have published them. */
function settings(folder, upstream) {
  const ours = { access: "$all", publish: "$authenticated", unpublish: "$authenticated" };
  return {
    storage: join(folder, "storage"),
    auth: { htpasswd: { file: join(folder, "htpasswd"), algorithm: "bcrypt", rounds: 4 } },
    uplinks: { upstream: { url: upstream, timeout: "120s", maxage: "60m", max_fails: 10 } },
    packages: {
      "local-entropy": ours,
      "@local-entropy/*": ours,
      "**": { access: "$all", proxy: "upstream" },
    },
    middlewares: {},
    web: { enable: false },
    max_body_size: "200mb",
    log: { type: "stdout", format: "json", level: "warn" },
  };
}

/**
 * Starts it with its files in a folder.
 *
 * @returns its address, `publish` of a tarball, and what ends it
 */
export async function startRegistry(folder, env) {
  mkdirSync(folder, { recursive: true });
  const upstream = spawnSync("npm", ["config", "get", "registry"], { encoding: "utf8" }).stdout.trim();
  const config = join(folder, "config.yaml");
  writeFileSync(config, JSON.stringify(settings(folder, upstream)));
  const port = await freePort();
  const address = `http://127.0.0.1:${port}/`;
  const log = join(folder, "log.txt");
  const child = spawn(
    process.execPath,
    [tool("verdaccio", "bin", "verdaccio"), "--config", config, "--listen", `127.0.0.1:${port}`],
    { stdio: ["ignore", openSync(log, "w"), openSync(log, "a")], env: { ...process.env, HOME: env.HOME } },
  );
  const ended = once(child, "close");
  process.once("exit", () => child.kill()); // it is not to outlive a run that is stopped
  const close = async () => {
    child.kill();
    await ended;
  };
  for (const deadline = Date.now() + 300_000; ; ) {
    if (
      await fetch(`${address}-/ping`).then(
        ({ ok }) => ok,
        () => false,
      )
    )
      break;
    if (child.exitCode !== null || Date.now() > deadline) {
      await close();
      throw new Error(`The registry did not start:\n${readFileSync(log, "utf8").slice(-3000)}`);
    }
    await new Promise((wake) => setTimeout(wake, 100));
  }

  const token = await newUser(address);
  return { address, close, publish: (file) => publish(address, token, file) };
}

async function put(url, body, headers = {}) {
  const response = await fetch(url, {
    method: "PUT",
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(`${url}: status ${response.status}, ${JSON.stringify(answer)}`);
  return answer;
}

async function newUser(address) {
  const user = { name: "tests", password: "on loopback only" };
  return (await put(`${address}-/user/org.couchdb.user:${user.name}`, user)).token;
}

/** What `npm publish` sends, without its second for each package. */
async function publish(address, token, file) {
  const bytes = readFileSync(file);
  const manifest = JSON.parse(await run(["tar", "-xzOf", file, "package/package.json"]));
  const { name, version } = manifest;
  const digest = (algorithm, encoding) => createHash(algorithm).update(bytes).digest(encoding);
  const tarball = `${address}${name}/-/${basename(file)}`;
  const dist = { shasum: digest("sha1", "hex"), integrity: `sha512-${digest("sha512", "base64")}`, tarball };
  const document = {
    _id: name,
    name,
    "dist-tags": { latest: version },
    versions: { [version]: { ...manifest, _id: `${name}@${version}`, dist } },
    _attachments: {
      [basename(file)]: {
        content_type: "application/octet-stream",
        data: bytes.toString("base64"),
        length: bytes.length,
      },
    },
  };
  await put(`${address}${name.replace("/", "%2f")}`, document, { Authorization: `Bearer ${token}` });
}
