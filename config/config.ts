/**
 * The whole configuration of every role: its keys, their rules and defaults. `load.ts` reads it; the composition roots
 * pass the parsed value down, and nothing else in the project reads the environment.
 */
import * as v from 'valibot';
import { mostJobsInAll } from '../descriptions/limits.ts';

export { ConfigError } from './problems.ts';

const name = v.pipe(v.string(), v.regex(/^[A-Za-z0-9][A-Za-z0-9_-]*$/, 'must be letters, digits, - and _'));
const positive = v.pipe(v.number(), v.gtValue(0, 'must be greater than 0'));
const count = v.pipe(v.number(), v.integer('must be a whole number'), v.minValue(1, 'must be at least 1'));
const port = v.pipe(
  v.number(),
  v.integer('must be a whole number'),
  v.minValue(0, 'must be 0 to 65535'),
  v.maxValue(65535, 'must be 0 to 65535'),
);
const text = v.pipe(v.string(), v.nonEmpty('must not be empty'));
/** Of this installation. What everybody can read in prominence.example.yaml would let everybody forge tokens. */
const keyOf = (length: number) =>
  v.pipe(
    v.string(),
    v.minLength(length, `must be at least ${length} characters`),
    v.check(
      (key) => !key.startsWith('replace-me'),
      "is the example's: put a key of your own, as of openssl rand -hex 32",
    ),
  );
const ownKey = keyOf(32);
const httpUrl = v.pipe(
  v.string(),
  v.check((url) => /^https?:\/\//i.test(url) && URL.canParse(url), 'must be a URL starting with http:// or https://'),
);

/** @returns the array schema with the rule that no two entries share a name: rows and machines are found by it. */
const uniquelyNamed = <const S extends v.GenericSchema<{ name: string }>>(entry: S, noun: string) =>
  v.pipe(
    v.array(entry),
    v.minLength(1, `must list at least one ${noun}`),
    v.rawCheck(({ dataset, addIssue }) => {
      if (!dataset.typed) return;
      const names = dataset.value.map((each) => each.name);
      names.forEach((each, index) => {
        if (names.indexOf(each) === index) return;
        addIssue({
          message: `${each} is the name of another ${noun} too`,
          path: [
            { type: 'array', origin: 'value', input: dataset.value, key: index, value: dataset.value[index] },
            { type: 'object', origin: 'value', input: { name: each }, key: 'name', value: each },
          ],
        });
      });
    }),
  );

/**
 * What really runs the containers of jobs that ask for one or the other; both names stay what users say. `none`: such jobs
 * are not for this site, for where an ordinary user has no namespaces udocker keeps no job from what is another's.
 */
const runtimes = v.strictObject({
  singularity: v.optional(v.picklist(['apptainer', 'podman', 'docker', 'none']), 'apptainer'),
  udocker: v.optional(v.picklist(['udocker', 'podman', 'docker', 'none']), 'udocker'),
});

/** What jobs see of networks (domain/machine.ts); `isolated` and `none` leave out machines that can't. */
const network = v.optional(v.picklist(['auto', 'isolated', 'none', 'host']), 'auto');

/** How many of them, with their threads, a job may have at one time on a machine. Default: 256 for a processor, from 1024 to 4096. */
const processes = v.optional(count);

const localSite = v.strictObject({
  type: v.literal('local'),
  name,
  region: v.optional(name),
  runtimes: v.optional(runtimes, {}),
  network,
  mostProcesses: processes,
  /** Default: what the machine has. */
  cpus: v.optional(count),
  memoryGb: v.optional(positive),
  diskGb: v.optional(positive),
  /** Where run directories and the image cache live. Must be enterable by the account jobs run as. */
  workDirectory: v.optional(v.string()),
  /** The account jobs run as when this process is root. */
  account: v.optional(name, 'prominence'),
});

const sshHost = v.strictObject({
  name,
  address: text,
  port: v.optional(port, 22),
  user: text,
  /** Path of a private key file without passphrase. */
  privateKeyFile: text,
  /** The host's public key as in known_hosts: `ssh-ed25519 AAAA...`. */
  hostKey: v.pipe(
    v.string(),
    v.regex(
      /^[a-z][a-z0-9@.-]+ [A-Za-z0-9+/]+=*( .*)?$/,
      'must be a public key as in known_hosts: `ssh-ed25519 AAAA...`',
    ),
  ),
  cpus: count,
  memoryGb: positive,
  diskGb: positive,
  /** Absolute, or relative to the user's home directory. */
  workDirectory: v.optional(v.string(), '.prominence'),
});

const sshSite = v.strictObject({
  type: v.literal('ssh'),
  name,
  region: v.optional(name),
  runtimes: v.optional(runtimes, {}),
  network,
  mostProcesses: processes,
  hosts: uniquelyNamed(sshHost, 'host'),
});

/** In the place of `audience`: none is looked for. */
export const anyAudience = 'any';

const issuer = v.strictObject({
  /** The `iss` of the tokens, and where `/.well-known/openid-configuration` is found. */
  issuer: httpUrl,
  /** Refuse tokens whose `aud` does not name this. `any` takes those that were made for other services too. */
  audience: v.pipe(
    v.optional(v.string(), ''),
    v.rawCheck(({ dataset, addIssue }) => {
      if (dataset.typed && dataset.value === '')
        addIssue({
          message:
            'is required: what the `aud` of the tokens must name, or else every service that a user shows a token to can ' +
            `use it here; "${anyAudience}" takes them whatever they were made for`,
        });
    }),
  ),
  verify: v.optional(v.picklist(['jwks', 'userinfo']), 'jwks'),
  claims: v.optional(
    v.strictObject({
      owner: v.optional(v.string(), 'preferred_username'),
      groups: v.optional(v.string(), 'groups'),
      email: v.optional(v.string(), 'email'),
      entitlements: v.optional(v.string(), 'edu_person_entitlements'),
    }),
    {},
  ),
  /** Put before the names of its users, and of their groups. Where there are several issuers, it tells users apart. */
  ownerPrefix: v.optional(text),
  groupPrefix: v.optional(text),
  /** Servers (host or host:port) that it names endpoints at, besides its own, though their addresses are not public. */
  privateHosts: v.optional(v.array(text)),
  /** Virtual organisation to entitlements: users must hold all of one organisation. Absent: everybody may come. */
  requiredEntitlements: v.optional(v.record(v.string(), v.array(text))),
});

/** Where users of the command line client log in, by `/register`, `/devicecode` and `/token` (docs/wire.md 1.3). */
const login = v.strictObject({
  /** One of auth.issuers. */
  issuer: httpUrl,
  /** A client that was made at the issuer by hand. Absent: each user's client registers itself there. */
  clientId: v.optional(text),
  /** Never leaves this server. Absent: a public client. */
  clientSecret: v.optional(text),
  /** In place of what the user's client asks for. */
  scope: v.optional(text),
  /** Asked for as `resource` (RFC 8707), where the issuer makes usable access tokens only for a named one. */
  resource: v.optional(text),
});

const api = v.pipe(
  v.strictObject({
    host: v.optional(text, '127.0.0.1'),
    port: v.optional(port, 8080),
    /** How users and job machines reach this API; signed object URLs are made from it. Default: http://host:port */
    publicUrl: v.optional(httpUrl),
    maxBodyBytes: v.optional(count, 16_777_216),
  }),
  v.transform((given) => ({
    ...given,
    publicUrl: (given.publicUrl ?? `http://${given.host}:${given.port}`).replace(/\/+$/, ''),
  })),
);

const storage = v.variant('kind', [
  v.strictObject({ kind: v.literal('local'), directory: text }),
  v.strictObject({
    kind: v.literal('s3'),
    endpoint: v.optional(httpUrl),
    /** Where users and job machines reach the store; signed URLs are made for it. Default: the endpoint */
    publicEndpoint: v.optional(httpUrl),
    region: v.optional(v.string(), 'us-east-1'),
    bucket: text,
    accessKeyId: text,
    secretAccessKey: text,
    forcePathStyle: v.optional(v.boolean(), true),
  }),
]);

const smtp = v.pipe(
  v.strictObject({
    host: text,
    /** How the connection is protected: turned into TLS once it is there, TLS from the start, or not at all. */
    security: v.optional(v.picklist(['starttls', 'tls', 'none']), 'starttls'),
    /** Default: the usual one, 587 with starttls, 465 with tls, 25 with none. */
    port: v.optional(v.pipe(port, v.minValue(1, 'must be 1 to 65535'))),
    user: v.optional(text),
    password: v.optional(text),
    /** `name@host`, or `A name <name@host>`. */
    from: v.pipe(
      v.string(),
      v.regex(/^([^<>\r\n]*<[^\s@<>]+@[^\s@<>]+>|[^\s@<>]+@[^\s@<>]+)$/, 'must be an e-mail address'),
    ),
  }),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed || (dataset.value.user === undefined) === (dataset.value.password === undefined)) return;
    addIssue({ message: 'user and password come together or not at all' });
  }),
  v.transform((given) => ({ ...given, port: given.port ?? { starttls: 587, tls: 465, none: 25 }[given.security] })),
);

const notifications = v.strictObject({
  /** Without it no e-mail is sent: jobs that ask for it are told so. */
  smtp: v.optional(smtp),
  /** An existing folder that keeps e-mail as files, where there is no smtp. */
  mailDirectory: v.optional(v.pipe(v.string(), v.regex(/^\//, 'must be an absolute path'))),
  webhooks: v.optional(
    v.strictObject({
      /** Signs webhooks that bring no secret of their own: any text, or `whsec_` and the key in base64. */
      signingKey: v.optional(keyOf(24)),
      /** Also call addresses that are not public: of this machine, of networks around it. */
      allowPrivateAddresses: v.optional(v.boolean(), false),
    }),
    {},
  ),
});

export const quotas = v.strictObject({
  /** Jobs that have not ended, those of workflows too. */
  unfinishedJobs: v.optional(count, 2_000_000),
  /** Of jobs and of workflows, each once however many jobs it has. */
  submitsPerMinute: v.optional(count, 6000),
  /** Uploads, outputs and snapshots together. 1 GB is 10^9 bytes. */
  storedGb: v.optional(positive, 1000),
  uploadGb: v.optional(positive, 100),
  /** All outputs of a job together; one snapshot. */
  jobOutputGb: v.optional(positive, 200),
  /** Of an image, unpacked. */
  imageGb: v.optional(positive, 50),
});

/** How we and the Temporal server know each other. */
const temporalTls = v.pipe(
  v.strictObject({
    /** Who signed the server's certificate. Default: whom the system trusts. */
    caFile: v.optional(text),
    /** Our own certificate and its key, where the server asks clients for one. */
    certFile: v.optional(text),
    keyFile: v.optional(text),
    /** The name in the server's certificate, where it is not that of the address. */
    serverName: v.optional(text),
  }),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed || (dataset.value.certFile === undefined) === (dataset.value.keyFile === undefined)) return;
    addIssue({ message: 'certFile and keyFile come together or not at all' });
  }),
);

const sections = v.strictObject({
  /** Marks everything this installation makes elsewhere (run directories, Temporal ids need no mark). */
  deployment: v.optional(v.pipe(v.string(), v.regex(/^[a-z0-9]{1,20}$/, 'must be 1 to 20 of a-z and 0-9')), 'p'),
  api: v.optional(api, {}),
  database: v.strictObject({
    url: v.pipe(v.string(), v.regex(/^postgres(ql)?:\/\//, 'must start with postgres:// or postgresql://')),
    poolSize: v.optional(count, 10),
  }),
  temporal: v.optional(
    v.strictObject({
      address: v.optional(v.string(), '127.0.0.1:7233'),
      namespace: v.optional(v.string(), 'default'),
      /** Absent: without TLS, unless there is an apiKey. */
      tls: v.optional(temporalTls),
      /** Sent with each call, where the server asks for one. */
      apiKey: v.optional(text),
      /**
       * Also take what did not come encrypted, although there are secrets.keys: while what was started before there were
       * any runs to its end. Whoever reaches Temporal can then start jobs as anybody.
       */
      acceptUnencrypted: v.optional(v.boolean(), false),
      /** Where browsers load Temporal's web UI from: it may ask our codec endpoint. Absent: no page may. */
      uiOrigin: v.optional(
        v.pipe(
          httpUrl,
          v.check((url) => new URL(url).origin === url, 'must be an origin: https://host, without a path or a slash'),
        ),
      ),
    }),
    {},
  ),
  auth: v.strictObject({
    /** Secret for our own tokens (HS256) and for signed object URLs. */
    signingKey: ownKey,
    issuers: v.optional(v.array(issuer), []),
    /**
     * So long after its submit, in days, a job may submit others with its token, though its owner's sign-in ended before:
     * and all that they submit until then, too.
     */
    delegationDays: v.optional(v.pipe(v.number(), v.minValue(0, 'must be at least 0')), 7),
    /** Members of any of these groups are operators: they may decode what Temporal keeps, and bar users. */
    operatorGroups: v.optional(v.array(text), []),
  }),
  login: v.optional(login),
  secrets: v.optional(
    v.strictObject({
      /**
       * Encrypt secrets in stored descriptions, and what Temporal keeps. The first encrypts, all decrypt: a new key goes
       * to the front, and an old one stays as long as there is something it encrypted. Empty: nothing is encrypted.
       */
      keys: v.optional(v.array(ownKey), []),
    }),
    {},
  ),
  storage,
  sites: uniquelyNamed(v.variant('type', [localSite, sshSite]), 'site'),
  execution: v.optional(
    v.strictObject({
      defaultWalltimeMinutes: v.optional(count, 720),
      /** A machine out of sight for longer is lost, and its jobs run again elsewhere. */
      machineLostAfterSeconds: v.optional(positive, 300),
      killGraceSeconds: v.optional(positive, 10),
      imageCacheGb: v.optional(positive, 20),
      /** A tag pulled longer ago is resolved again before use. */
      imageRefreshMinutes: v.optional(v.pipe(v.number(), v.minValue(0)), 60),
      /** Registries (host:port) to be spoken to without TLS. */
      insecureRegistries: v.optional(v.array(v.string()), []),
      /**
       * Servers (host or host:port) that our own processes may ask although their addresses are not public: registries,
       * servers of artifacts. Insecure registries and the object store are known.
       */
      privateHosts: v.optional(v.array(text), []),
      /** Folders of the machines that jobs may take images from by absolute path (CVMFS, a shared file system). */
      imageDirectories: v.optional(v.array(v.pipe(v.string(), v.regex(/^\/.*[^/]$/, 'must be an absolute path'))), []),
      /** Where storage of the type b2drop is found: the WebDAV address of its Nextcloud. */
      b2dropUrl: v.optional(httpUrl, 'https://b2drop.eudat.eu/remote.php/webdav/'),
      /** How long a user's storage may take nothing of what a job wrote to it, until the job fails for that. */
      storagePatienceSeconds: v.optional(positive, 330),
      logBytesPerStream: v.optional(count, 67_108_864),
      /** How often a job is started again after losing its machine. */
      maximumMachineLosses: v.optional(count, 5),
      /** What one workflow may have, its factories' instances counted. */
      maximumJobsPerWorkflow: v.optional(
        v.pipe(count, v.maxValue(mostJobsInAll, `must be at most ${mostJobsInAll}`)),
        mostJobsInAll,
      ),
      /** Let jobs use the runtime `benchmark`, which runs nothing: for measuring and testing the engine. */
      benchmarkRuntime: v.optional(v.boolean(), false),
    }),
    {},
  ),
  worker: v.optional(
    v.strictObject({
      /** What this process does; a role may run in any number of processes. */
      roles: v.optional(v.array(v.picklist(['workflows', 'hosts', 'scheduler', 'outbox'])), [
        'workflows',
        'hosts',
        'scheduler',
        'outbox',
      ]),
      maxCachedWorkflows: v.optional(count, 2000),
      concurrentHostActivities: v.optional(count, 100),
      concurrentCalls: v.optional(count, 50),
      concurrentTransfers: v.optional(count, 100),
    }),
    {},
  ),
  /** What one owner may have and do. */
  quotas: v.optional(quotas, {}),
  /** How long what ended is kept, in days; what was used stays counted. */
  retention: v.optional(
    v.strictObject({
      /** Jobs and workflows with their logs, outputs and snapshots. Notifications are tried for more than a day. */
      finishedDays: v.optional(v.pipe(v.number(), v.minValue(2, 'must be at least 2')), 90),
      /** What leaveInQueue keeps in the queue leaves it then. */
      keptDays: v.optional(v.pipe(v.number(), v.minValue(2, 'must be at least 2')), 90),
    }),
    {},
  ),
  notifications: v.optional(notifications, {}),
  log: v.optional(v.strictObject({ level: v.optional(v.picklist(['debug', 'info', 'warn', 'error']), 'info') }), {}),
});

export const configSchema = v.pipe(
  sections,
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    const { login, auth } = dataset.value;
    if (!login || auth.issuers.some(({ issuer }) => issuer === login.issuer)) return;
    addIssue({
      message: `${login.issuer} is not one of auth.issuers`,
      path: [
        { type: 'object', origin: 'value', input: dataset.value, key: 'login', value: login },
        { type: 'object', origin: 'value', input: login, key: 'issuer', value: login.issuer },
      ],
    });
  }),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    const { auth } = dataset.value;
    auth.issuers.forEach((each, index) => {
      const twin = auth.issuers.findIndex(({ ownerPrefix }) => ownerPrefix === each.ownerPrefix);
      if (twin === index) return;
      addIssue({
        message:
          `is that of auth.issuers[${twin}] too: give each issuer its own, such as "name:", or users of the same name ` +
          'at two of them are one user here (one issuer may have none)',
        path: [
          { type: 'object', origin: 'value', input: dataset.value, key: 'auth', value: auth },
          { type: 'object', origin: 'value', input: auth, key: 'issuers', value: auth.issuers },
          { type: 'array', origin: 'value', input: auth.issuers, key: index, value: each },
          { type: 'object', origin: 'value', input: each, key: 'ownerPrefix', value: each.ownerPrefix },
        ],
      });
    });
  }),
);

/** Sizes in the configuration are told in these. */
export const gigabyte = 1e9;

export type Config = v.InferOutput<typeof configSchema>;
export type SiteConfig = Config['sites'][number];
export type LocalSiteConfig = Extract<SiteConfig, { type: 'local' }>;
export type SshSiteConfig = Extract<SiteConfig, { type: 'ssh' }>;
export type SshHostConfig = SshSiteConfig['hosts'][number];
export type StorageConfig = Config['storage'];
export type SmtpConfig = NonNullable<Config['notifications']['smtp']>;
export type LoginConfig = NonNullable<Config['login']>;
export type IssuerConfig = Config['auth']['issuers'][number];
