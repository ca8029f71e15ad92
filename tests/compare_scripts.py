#!/usr/bin/env python3
"""Says scripts to a redis-server and to a redis-raft node, in RESP2 and RESP3, and compares what they
answer and what the keys hold: conversions, errors, the sandbox, Lua's own functions; then random
programs over a few keys.

    compare_scripts.py [--rounds N] [--seed S] REDIS_PORT OUR_PORT

Both databases are emptied.  Exit status 1 if anything differs.  Made for redis-server 7.0.  What
differs on purpose is not asked: what a script that fails leaves, addresses, the numbers that 7.2 writes
in another way (0.1).
"""
import argparse
import random
import sys

from compare_redis import Connection

FIXED = r"""
return 1
return -3.99
return 'text'
return {1, 'two', {3, {4}}, false, true, nil, 7}
return {ok='fine'}
return {err='MY err'}
return {err='oneword'}
return redis.status_reply('S')
return redis.error_reply('E x')
return redis.error_reply('word')
return redis.error_reply('-ERR with dash')
return redis.error_reply({})
return redis.status_reply()
return {double=3.5}
return {map={a=1}}
return {set={a=true}}
return {big_number='12345678901234567890'}
return {verbatim_string={string='x', format='txt'}}
return {map={}, double=1}
redis.setresp(3); return true
redis.setresp(3); return false
redis.setresp(3); return {true, false}
redis.setresp(3); return redis.call('hgetall', 'h')
redis.setresp(3); return redis.call('smembers', 's')
redis.setresp(3); return redis.call('zscore', 'z', 'a')
redis.setresp(3); return redis.call('zrange', 'z', 0, -1, 'withscores')
redis.setresp(3); return redis.call('get', 'none')
redis.setresp(3); return type(redis.call('get', 'none'))
redis.setresp(3); local m = redis.call('hgetall', 'h'); return {m.map.f1, m.map.f2}
redis.setresp(4)
redis.setresp()
return redis.call('hgetall', 'h')
return redis.call('smembers', 's')
return redis.call('zscore', 'z', 'a')
return redis.call('get', 'none')
return type(redis.call('get', 'none'))
return redis.call('lrange', 'l', 0, -1)
return redis.call('set', 'k', 'v')
return redis.call('set', 'k', 1, 'nx')
return redis.call('incr', 'l')
return redis.pcall('incr', 'l')
return redis.pcall('incr', 'l').err
local r = redis.pcall('incr', 'l'); local n = {} for k in pairs(r) do n[#n + 1] = k end table.sort(n) return n
return select(2, pcall(redis.call, 'incr', 'l'))
return {pcall(redis.call, 'nosuch')}
return redis.call('nosuch')
return redis.call('get')
return redis.call()
return redis.pcall()
return redis.call({})
return redis.call('set', 'k', true)
return redis.call('eval', 'return 1', 0)
return redis.call('multi')
return redis.call('watch', 'k')
return redis.call('subscribe', 'x')
return redis.call('auth', 'x')
return redis.call('echo', 'x')
return redis.call('ping')
return redis.call('ping', 'hey')
return redis.call('select', 1)
return redis.pcall('select', 'x')
return redis.pcall('select', 99)
redis.call('set', 'num', 17); return redis.call('get', 'num')
redis.call('set', 'num', 2^40); return redis.call('get', 'num')
redis.call('rpush', 'nums', 1, -5, 1e3); return redis.call('lrange', 'nums', 0, -1)
return {KEYS[1], ARGV[1], #KEYS, #ARGV}
return KEYS
return ARGV
return x
x = 1
local x = y.z
KEYS = 1
KEYS[1] = 'q'; return KEYS[1]
redis.call = 1
redis.x = 1
string.format = 1
math.floor = 1
table.insert = 1
_G.x = 1
_G['print'] = 1
rawset(_G, 'x', 1)
setmetatable(_G, {})
getmetatable(_G).__index = 1
setmetatable(redis, {})
setmetatable(string, {})
getmetatable('').__index = 1
return rawget(_G, 'os')
return rawget(_G, 'io')
return rawget(_G, 'debug')
return rawget(_G, 'print')
return rawget(_G, 'dofile')
return rawget(_G, 'getfenv')
return rawget(redis, 'nothing')
return redis.nothing
return getmetatable(redis)
local n = {} for k in pairs(redis) do n[#n + 1] = k end table.sort(n) return table.concat(n, ' ')
local n = {} for k in pairs(math) do n[#n + 1] = k end table.sort(n) return table.concat(n, ' ')
local n = {} for k in pairs(table) do n[#n + 1] = k end table.sort(n) return table.concat(n, ' ')
local n = {} for k in pairs(coroutine) do n[#n + 1] = k end table.sort(n) return table.concat(n, ' ')
error('boo')
error('boo', 0)
error('boo', 2)
error({err='MY table'})
error({err='word'})
error(5)
local function f() error('deep') end f()
return {pcall(error, 'x')}
return {pcall(error, {err='t x'})}
return {pcall(function() return 1, 2, 3 end)}
return {xpcall(function() error('x') end, function(e) return 'handled' end)}
assert(false)
assert(false, 'why')
assert(nil, {err='A b'})
return assert(1, 2)
return (
return 1 +
for
return 'x' .. {}
return {} + 1
return nil .. 'x'
return #5
return ('x')()
local t = setmetatable({}, {__index = function(t, k) return k .. '!' end}); return t.abc
return tostring(nil) .. tostring(true) .. tostring(1.5) .. tostring('x')
return {tonumber('0x10'), tonumber('10', 2), tonumber('x') == nil, tonumber(' 5 ')}
return {math.floor(3.7), math.ceil(3.2), math.max(1, 5, 3), math.min(4, 2), math.abs(-3), math.sqrt(16), 7 % 3, -7 % 3}
math.randomseed(42); return {math.random(1000000), math.random(1000000)}
return math.random(0)
return math.random(5, 1)
math.randomseed(-7); return tostring(math.random())
return tostring(1/3) .. ' ' .. tostring(1e15) .. ' ' .. tostring(2^53) .. ' ' .. tostring(1e100)
return tostring(1/0) .. tostring(-1/0)
return string.format('%d %5.2f %s %q %x %c %%', 42, 3.14159, 'str', 'a"b', 255, 65)
return string.format('%s')
return string.format('%d', 'x')
return {('hello'):upper(), ('HELLO'):lower(), ('abc'):reverse(), ('abc'):len(), ('abc'):sub(2), ('abc'):sub(-2, -1), ('abc'):byte(2), string.char(72, 105)}
return {('x'):rep(3), ('x'):rep(0), ('x'):rep(-1)}
return {('hello world'):find('wor'), ('hello world'):find('o', 6), ('hello'):find('l+'), ('hello'):find('xyz') == nil}
return {('a.b'):find('.', 1, true), ('a.b'):find('%.'), ('abc'):find('b', -1) == nil, ('abc'):find('', 10) == nil, ('abc'):find('', 4)}
return {('key=val'):match('(%w+)=(%w+)'), ('  x '):match('^%s*(.-)%s*$'), ('abc'):match('()b()')}
local r = {} for w in ('one two three'):gmatch('%a+') do r[#r + 1] = w end return r
return {('hello'):gsub('l', 'L'), ('hello'):gsub('(l)(o)', '%2%1'), ('abc'):gsub('%w', '%0%0', 2), ('abc'):gsub('', '.')}
return {('$name is $age'):gsub('%$(%w+)', {name='Bob', age=7}), ('abc'):gsub('.', function(c) if c == 'b' then return 'X' end end)}
return ('abc'):gsub('(', 'x')
return ('abc'):gsub('a', true)
return ('abc'):match('[a')
return ('abc'):match('%')
return ('THE (quick) fox'):find('%((%a+)%)')
return ('f(a(b)c)d'):match('%b()')
return {table.concat({1, 2, 3}, ','), table.concat({}), #table.concat({'a', 'b'})}
return table.concat({1, {}, 3})
local t = {3, 1, 2} table.sort(t) return t
local t = {3, 1, 2} table.sort(t, function(a, b) return a > b end) return t
table.sort({1, 'x', 2})
local t = {1, 2} table.insert(t, 3) table.insert(t, 1, 0) return {table.remove(t), table.remove(t, 1), #t, unpack(t)}
return {select('#', 1, nil, 3), select(2, 'a', 'b', 'c')}
return {next({}) == nil, next({5}), type(next), rawequal('a', 'a'), rawget({7}, 1)}
local r = {} for i, v in ipairs({1, 2, nil, 4}) do r[#r + 1] = v end return r
local co = coroutine.create(function(a) local b = coroutine.yield(a + 1) return b * 2 end) local _, x = coroutine.resume(co, 1) local _, y = coroutine.resume(co, 10) return {x, y, coroutine.status(co)}
local f = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end) return {f(), f(), f()}
coroutine.yield(1)
local co = coroutine.wrap(function() error('in co') end) co()
return loadstring('return 5 + 5')()
return {loadstring('return (')}
return redis.sha1hex('')
return redis.sha1hex('abc')
return redis.sha1hex()
return redis.replicate_commands()
return redis.set_repl(redis.REPL_ALL)
return redis.set_repl(17)
return redis.set_repl()
return redis.log(redis.LOG_DEBUG, 'x')
return redis.log('x')
return redis.log('x', 'y')
return redis.log(10, 'y')
return redis.breakpoint()
return redis.debug('x')
return redis.acl_check_cmd('set', 'k', 'v')
return redis.acl_check_cmd('nosuch')
return redis.acl_check_cmd()
return {redis.LOG_DEBUG, redis.LOG_VERBOSE, redis.LOG_NOTICE, redis.LOG_WARNING, redis.REPL_NONE, redis.REPL_AOF, redis.REPL_SLAVE, redis.REPL_REPLICA, redis.REPL_ALL}
#!lua flags=no-writes|return redis.pcall('set', 'k', 1)
#!lua flags=no-writes,allow-stale|return redis.call('get', 'k')
#!lua flags=bad|return 1
#!lua bad=1|return 1
#!python|return 1
#!lua
#!lua|error('second line')
return {1, 2, nil, 3}
return {nil, 1}
local t = {} for i = 1, 100 do t[i] = i end return #t
local t = {} t[1] = t return 1
return function() end
return 1, 2
"""


class Programs:
    """Random programs: a few calls on a few keys, with conditions and loops, none of which fail."""

    def __init__(self, rng):
        self.rng = rng

    def key(self):
        return f"'{self.rng.choice('abc')}'"

    def call(self):
        rng, key = self.rng, self.key()
        return rng.choice([
            f"redis.pcall('incrby', {key}, {rng.randrange(-9, 9)})",
            f"redis.pcall('append', {key}, 'x{rng.randrange(9)}')",
            f"redis.pcall('get', {key})",
            f"redis.pcall('set', {key}, {rng.randrange(99)})",
            f"redis.pcall('del', {key})",
            f"redis.pcall('rpush', {key}, {rng.randrange(9)}, 'y')",
            f"redis.pcall('lrange', {key}, 0, -1)",
            f"redis.pcall('sadd', {key}, 'm{rng.randrange(5)}')",
            f"redis.pcall('scard', {key})",
            f"redis.pcall('hincrby', {key}, 'f', 2)",
            f"redis.pcall('zadd', {key}, {rng.randrange(9)}, 'z{rng.randrange(4)}')",
            f"redis.pcall('zrange', {key}, 0, -1, 'withscores')",
            f"redis.pcall('type', {key})",
            f"redis.pcall('exists', {key}, {self.key()})",
            f"redis.pcall('rename', {key}, {self.key()})",
        ])

    def statement(self, depth):
        kind = self.rng.randrange(6 if depth < 2 else 3)
        if kind < 3:
            return f"r[#r + 1] = {self.call()}"
        inner = "; ".join(self.statement(depth + 1) for _ in range(self.rng.randrange(1, 3)))
        if kind == 3:
            return f"for i = 1, {self.rng.randrange(1, 4)} do {inner} end"
        if kind == 4:
            return f"if redis.call('exists', {self.key()}) == 1 then {inner} end"
        return f"pcall(function() {inner}; error('x') end)"

    def next(self):
        body = "; ".join(self.statement(0) for _ in range(self.rng.randrange(1, 5)))
        protocol = self.rng.choice(["", "", "redis.setresp(3); "])
        return f"local r = {{}}; {protocol}{body}; return r"


class Comparison:
    def __init__(self):
        self.compared = self.different = 0

    def note(self, about, theirs, ours):
        self.compared += 1
        if theirs != ours:
            self.different += 1
            if self.different <= 30:
                print(f"{about}\n  redis: {theirs[:400]!r}\n  ours:  {ours[:400]!r}")


def run(comparison, ports, protocol, programs, rounds):
    redis, ours = (Connection(port) for port in ports)

    def both(words, about):
        comparison.note(f"RESP{protocol} {about}", redis.command(words), ours.command(words))

    for connection in (redis, ours):
        connection.command(["HELLO", protocol])
        assert connection.command(["FLUSHALL"]) == b"+OK\r\n"
    for words in (["HSET", "h", "f1", "1"], ["HSET", "h", "f2", "2"], ["SADD", "s", "1"],
                  ["ZADD", "z", "1.5", "a", "3", "b"], ["RPUSH", "l", "x", "y"]):
        both(words, words)
    for line in FIXED.strip().split("\n"):
        body = line.replace("|", "\n", 1) if line.startswith("#!") else line
        both(["EVAL", body, "1", "key", "arg", "more"], line)
        if line.startswith("#!"):
            both(["EVAL_RO", body, "1", "key", "arg", "more"], f"RO {line}")
    for words in (["EVAL", "return 1"], ["EVAL", "return 1", "x"], ["EVAL", "return 1", "2", "a"],
                  ["EVAL", "return 1", "-1"], ["EVALSHA", "x", "0"], ["EVALSHA", "f" * 40, "0"],
                  ["EVALSHA_RO", "f" * 40, "0"], ["SCRIPT"], ["SCRIPT", "NOSUCH"], ["SCRIPT", "LOAD"],
                  ["SCRIPT", "LOAD", "return 7"], ["SCRIPT", "LOAD", "return ("],
                  ["SCRIPT", "EXISTS", "f" * 40, "0"], ["SCRIPT", "EXISTS"], ["SCRIPT", "KILL"],
                  ["EVALSHA", "4ca238f611c9d0ae4e9a75a5dbac22aedc1e44d0", "0"],
                  ["SCRIPT", "FLUSH", "x"], ["SCRIPT", "FLUSH", "SYNC", "x"], ["SCRIPT", "FLUSH"],
                  ["SCRIPT", "DEBUG", "x"], ["SCRIPT", "HELP"],
                  ["EVAL_RO", "return redis.pcall('set', 'k', 1)", "0"],
                  ["EVAL_RO", "return redis.call('set', 'k', 1)", "0"],
                  ["EVAL_RO", "return redis.call('get', 'k')", "0"],
                  ["COMMAND", "GETKEYS", "EVAL", "x", "2", "a", "b", "c"]):
        both(words, words)
    for connection in (redis, ours):
        connection.command(["FLUSHALL"])
    for i in range(rounds):
        body = programs.next()
        both(["EVAL", body, "0"], f"#{i} {body}")
        for key in "abc":
            both(["TYPE", key], f"#{i} type of {key} after {body}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("redis_port", type=int)
    parser.add_argument("our_port", type=int)
    args = parser.parse_args()
    comparison = Comparison()
    programs = Programs(random.Random(args.seed))
    for protocol in (2, 3):
        run(comparison, (args.redis_port, args.our_port), protocol, programs, args.rounds // 2)
    print(f"{comparison.compared} replies compared, {comparison.different} different")
    sys.exit(comparison.different > 0)


if __name__ == "__main__":
    main()
