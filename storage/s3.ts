/** The object store in S3, or what speaks its protocol. */
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  PutObjectCommand,
  S3Client,
  S3ServiceException,
  paginateListObjectsV2,
  type BucketLocationConstraint,
} from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { StorageError } from './errors.ts';
import type { ObjectStore } from './object-store.ts';

export interface S3Options {
  /** Undefined: AWS. */
  endpoint?: string | undefined;
  /** Where users and job machines reach the store, if not at `endpoint`: signed URLs are made for it. */
  publicEndpoint?: string | undefined;
  region: string;
  bucket: string;
  accessKeyId: string;
  secretAccessKey: string;
  forcePathStyle: boolean;
}

export interface S3Store extends ObjectStore {
  readonly kind: 's3';
  /** Ends the connections; the store can't be used afterwards. */
  close(): void;
}

/** The longest a signed URL can be valid by the protocol. */
const maximumExpirySeconds = 7 * 24 * 3600;

export function createS3Store(options: S3Options): S3Store {
  const { bucket: Bucket } = options;
  const client = createClient(options, options.endpoint);
  const signing = options.publicEndpoint === undefined ? client : createClient(options, options.publicEndpoint);
  const where = `the bucket ${Bucket} at ${options.endpoint ?? `AWS ${options.region}`}`;
  const presign = (command: GetObjectCommand | PutObjectCommand, expiresSeconds: number) =>
    getSignedUrl(signing, command, { expiresIn: Math.min(expiresSeconds, maximumExpirySeconds) });

  /** Failures as ours, with the place in the message; the SDK's own often say no more than `UnknownError`. */
  async function asked<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      throw new StorageError('unavailable', `${where} can't be used: ${reason(error)}`, { cause: error });
    }
  }

  return {
    kind: 's3',
    checksPuts: false,
    async ensureReady() {
      const found = await asked(undefinedIfMissing(client.send(new HeadBucketCommand({ Bucket }))));
      if (found !== undefined) return;
      await asked(createBucket(client, options));
    },
    presignGet: (Key, expiresSeconds) => presign(new GetObjectCommand({ Bucket, Key }), expiresSeconds),
    presignPut: (Key, expiresSeconds, { sha256 } = {}) =>
      presign(
        new PutObjectCommand({
          Bucket,
          Key,
          // Goes into the signed query, so that a plain PUT without further headers is checked by the store.
          ...(sha256 === undefined ? {} : { ChecksumSHA256: Buffer.from(sha256, 'hex').toString('base64') }),
        }),
        expiresSeconds,
      ),
    async head(Key) {
      const found = await asked(undefinedIfMissing(client.send(new HeadObjectCommand({ Bucket, Key }))));
      if (found === undefined) return undefined;
      return { key: Key, sizeBytes: found.ContentLength ?? 0, lastModified: found.LastModified ?? new Date(0) };
    },
    async *list(Prefix) {
      const pages = paginateListObjectsV2({ client }, { Bucket, Prefix })[Symbol.asyncIterator]();
      for (let page = await asked(pages.next()); !page.done; page = await asked(pages.next())) {
        for (const { Key, Size, LastModified } of page.value.Contents ?? []) {
          if (Key !== undefined) yield { key: Key, sizeBytes: Size ?? 0, lastModified: LastModified ?? new Date(0) };
        }
      }
    },
    async delete(Key) {
      await asked(undefinedIfMissing(client.send(new DeleteObjectCommand({ Bucket, Key }))));
    },
    close() {
      client.destroy();
      if (signing !== client) signing.destroy();
    },
  };
}

function createClient(options: S3Options, endpoint: string | undefined): S3Client {
  return new S3Client({
    region: options.region,
    forcePathStyle: options.forcePathStyle,
    credentials: { accessKeyId: options.accessKeyId, secretAccessKey: options.secretAccessKey },
    ...(endpoint === undefined ? {} : { endpoint }),
    // Otherwise every signed PUT demands the CRC32 of an empty body.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: { connectionTimeout: 5_000, requestTimeout: 30_000 },
  });
}

async function createBucket(client: S3Client, { bucket, endpoint, region }: S3Options): Promise<void> {
  // AWS wants the region named, but refuses the name of its default one.
  const named = endpoint === undefined && region !== 'us-east-1';
  try {
    await client.send(
      new CreateBucketCommand({
        Bucket: bucket,
        ...(named ? { CreateBucketConfiguration: { LocationConstraint: region as BucketLocationConstraint } } : {}),
      }),
    );
  } catch (error) {
    // Another process of ours was faster.
    if (error instanceof S3ServiceException && error.name === 'BucketAlreadyOwnedByYou') return;
    throw error;
  }
}

async function undefinedIfMissing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof S3ServiceException && error.$metadata.httpStatusCode === 404) return undefined;
    throw error;
  }
}

function reason(error: unknown): string {
  if (error instanceof S3ServiceException) {
    return `${error.name} (HTTP ${error.$metadata.httpStatusCode ?? '?'}): ${error.message}`;
  }
  return error instanceof Error ? error.message || error.name : String(error);
}
