/**
 * The flags of commands in Redis 7 (`COMMAND`) that decide about a refusal. The effect of a script or a module is
 * unknown: name such commands in the `commands` option.
 */
const named = (names: string): ReadonlySet<string> => new Set(names.split(/\s+/));

/** Flag `denyoom`: commands that may need memory. All of them write. */
export const needsMemory: ReadonlySet<string> = named(
  `append bitfield bitop blmove brpoplpush copy decr decrby geoadd georadius georadiusbymember
  geosearchstore getset hincrby hincrbyfloat hmset hset hsetnx incr incrby incrbyfloat linsert lmove lpush
  lpushx lset mset msetnx pfadd pfdebug pfmerge psetex restore restore-asking rpoplpush rpush rpushx sadd
  sdiffstore set setbit setex setnx setrange sinterstore sort sunionstore xadd xsetid zadd zdiffstore zincrby
  zinterstore zrangestore zunionstore`,
);

const writesWithoutMemory = named(
  `blmpop blpop brpop bzmpop bzpopmax bzpopmin del expire expireat flushall flushdb getdel getex hdel lmpop
  lpop lrem ltrim migrate move persist pexpire pexpireat rename renamenx rpop smove spop srem swapdb unlink
  xack xautoclaim xclaim xdel xreadgroup xtrim zmpop zpopmax zpopmin zrem zremrangebylex zremrangebyrank
  zremrangebyscore`,
);

/** Flag `write`. */
export const writes: ReadonlySet<string> = new Set([...needsMemory, ...writesWithoutMemory]);

const readsKeys = named(
  `bitcount bitfield_ro bitpos dump exists expiretime geodist geohash geopos georadius_ro
  georadiusbymember_ro geosearch get getbit getrange hexists hget hgetall hkeys hlen hmget hrandfield hscan
  hstrlen hvals lcs lindex llen lpos lrange mget pexpiretime pfcount pttl scard sdiff sinter sismember smembers
  smismember sort_ro srandmember sscan strlen substr sunion touch ttl type xlen xpending xrange xrevrange zcard
  zcount zlexcount zmscore zrandmember zrange zrangebylex zrangebyscore zrank zrevrange zrevrangebylex
  zrevrangebyscore zrevrank zscan zscore`,
);
const withoutKeyFirst = named(
  'bitop blmpop bzmpop flushall flushdb lmpop migrate pfdebug swapdb xreadgroup zmpop',
);

/** Commands whose first argument is a key. */
export const keyFirst: ReadonlySet<string> = new Set(
  [...writes, ...readsKeys].filter((name) => !withoutKeyFirst.has(name)),
);

/** Flag `loading`: commands that are answered while the data is being loaded. */
export const whileLoading: ReadonlySet<string> = named(
  `auth client command debug discard echo exec hello info lastsave monitor multi psubscribe publish
  punsubscribe quit readonly readwrite replconf reset role select shutdown spublish ssubscribe subscribe
  sunsubscribe time unsubscribe unwatch watch`,
);

/** Flag `no_auth`. */
export const withoutPassword: ReadonlySet<string> = named('auth hello quit reset');

/** Flag `allow_busy`; of `script` and `function` only `kill` is. */
export const whileBusy: ReadonlySet<string> = named(
  'auth discard function hello multi quit replconf reset script shutdown unwatch watch',
);

/** After these commands, and after `client reply`, there is no longer one reply for each command. */
export const endsCounting: ReadonlySet<string> = named(
  'monitor psubscribe psync ssubscribe subscribe sync',
);
