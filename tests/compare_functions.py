#!/usr/bin/env python3
"""Loads libraries of functions, good ones and bad ones, into a redis-server and a redis-raft node,
calls them, moves payloads of FUNCTION DUMP both ways, and compares the replies.

    compare_functions.py REDIS_PORT OUR_PORT

Both are emptied.  Exit status 1 if anything differs.  Made for redis-server 7.0, which reads
payloads up to version 10: ours are sealed anew before they go there.
"""
import sys

from compare_dump import seal
from compare_redis import Connection

HEAD = "#!lua name=a\n"
CODES = ["return 1", "#!lua\nx", "#!lua name=a", "#!lua name=a name=b\n", "#!lua foo=a\n",
         "#!lua name=\n", "#!lua name=a b\nx", "#!py name=a\nx", "#!lua name=a-b\nx",
         "#!lua name=\"a b\"\nx", "#! name=a\nx", "#!lua name='q'\nreturn 1", "#!LUA name=a\nreturn 1",
         "#!lua name=\"a\nx"]
BODIES = ["return 1", "x y", "x()", "error('boom')", "local x = nil; x.y = 1", "a = 1",
          "redis.call('get', 'x')", "redis.pcall('get', 'x')", "return redis.sha1hex('x')",
          "while true do end", "KEYS[1] = 1", "redis.setresp(3)", "return cjson.encode({})",
          "redis.register_function()", "redis.register_function(1)", "redis.register_function('f')",
          "redis.register_function('f', 1)", "redis.register_function('f', function() end, 1)",
          "redis.register_function(1, function() end)",
          "redis.register_function('f-g', function() end)",
          "redis.register_function('f', function() end) redis.register_function('f', function() end)",
          "redis.register_function({})", "redis.register_function{function_name='f'}",
          "redis.register_function{callback=1}", "redis.register_function{description={}}",
          "redis.register_function{flags=1}", "redis.register_function{zzz=1}",
          "redis.register_function{[1]=1}", "redis.register_function('', function() end)",
          "redis.register_function{function_name='f', callback=function() end, flags={'x'}}",
          "redis.register_function{function_name='f', callback=function() end, flags={a='no-writes'}}",
          "redis.register_function('f', redis.log)"]
LIBRARY = HEAD + """
local register = redis.register_function
redis.register_function('late', function() return pcall(register, 'z', function() end) end)
redis.register_function('raise', function() error('boo') end)
redis.register_function('unknown', function() return redis.call('nope') end)
redis.register_function('words', function(keys, args) return {keys, args, #keys, #args} end)
redis.register_function('globals', function() return KEYS end)
redis.register_function('write', function(keys) return redis.call('set', keys[1], 1) end)
redis.register_function{function_name='read', description='d', flags={'no-writes', 'allow-oom'},
  callback=function(keys) return redis.call('get', keys[1]) end}
redis.register_function{function_name='cheat', flags={'no-writes'},
  callback=function(keys) return redis.call('set', keys[1], 2) end}
redis.register_function('reply', function() return redis.error_reply('MY e') end)
redis.register_function('set', function() zz = 1 end)
redis.register_function('json', function(_, args) return cjson.encode(cjson.decode(args[1])) end)
"""
CALLS = ["FCALL late 0", "FCALL raise 0", "FCALL unknown 0", "FCALL words 2 a b c", "FCALL words 0",
         "FCALL globals 0", "FCALL write 1 x", "FCALL read 1 x", "FCALL cheat 1 x", "FCALL_RO write 1 x",
         "FCALL_RO read 1 x", "FCALL_RO cheat 1 x", "FCALL reply 0", "FCALL set 0", "FCALL json 0 [1,2]",
         "FCALL nope 0", "FCALL read x", "FCALL read -1", "FCALL read 2 a", "FCALL nope x", "FCALL f",
         "FUNCTION LIST x", "FUNCTION LIST LIBRARYNAME", "FUNCTION LIST LIBRARYNAME z*",
         "FUNCTION LIST WITHCODE WITHCODE", "FUNCTION STATS", "FUNCTION KILL", "FUNCTION DELETE zz",
         "FUNCTION FLUSH x", "FUNCTION FLUSH sync x", "FUNCTION RESTORE x", "FUNCTION RESTORE x y",
         "FUNCTION RESTORE x flush z", "FUNCTION nope", "FUNCTION LOAD", "FUNCTION LOAD x y",
         "FUNCTION HELP", "FUNCTION DELETE a", "FUNCTION STATS"]


def main():
    redis, ours = (Connection(int(port)) for port in sys.argv[1:])
    count = different = 0

    def both(*words):
        nonlocal count, different
        words = [word if isinstance(word, bytes) else word.encode() for word in words]
        replies = [connection.command(words) for connection in (redis, ours)]
        count += 1
        if replies[0] != replies[1]:
            different += 1
            print(words, "\n  theirs", replies[0][:300], "\n  ours  ", replies[1][:300])

    for protocol in "2", "3":
        for connection in redis, ours:
            connection.command([b"HELLO", protocol.encode()])
        both("FLUSHALL")
        for code in CODES + [HEAD + body for body in BODIES]:
            both("FUNCTION", "FLUSH")
            both("FUNCTION", "LOAD", code)
        both("FUNCTION", "FLUSH")
        both("FUNCTION", "LOAD", "REPLACE", LIBRARY)
        both("FUNCTION", "LOAD", LIBRARY)
        both("FUNCTION", "LOAD", "#!lua name=b\nredis.register_function('WORDS', function() end)")
        dumps = [connection.command([b"FUNCTION", b"DUMP"]) for connection in (redis, ours)]
        theirs, mine = (dump[dump.index(b"\n") + 1:-2] for dump in dumps)
        for line in CALLS:
            both(*line.split(" "))
        for payload, other in ((theirs, theirs), (seal(mine[:-10], 10), mine)):
            count += 1
            answers = redis.command([b"FUNCTION", b"RESTORE", payload, b"REPLACE"]), \
                ours.command([b"FUNCTION", b"RESTORE", other, b"REPLACE"])
            if answers != (b"+OK\r\n", b"+OK\r\n"):
                different += 1
                print("RESTORE", answers)
            both("FCALL", "words", "1", "k", "a")
            both("FUNCTION", "RESTORE", payload)
            both("FUNCTION", "FLUSH")
    print(f"{count} replies, {different} different")
    sys.exit(different > 0)


if __name__ == "__main__":
    main()
