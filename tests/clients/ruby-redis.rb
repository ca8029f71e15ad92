# ruby-redis as Debian packages it: every type, MULTI and WATCH, and while a node dies.  See `run` for
# the words that are exchanged with the runner.
require 'redis'

$stdout.sync = true
PORTS = ARGV.map(&:to_i)
UNKNOWN = /may or may not have been executed/
REFUSED = /was not executed/

def connect(port)
  Redis.new(host: '127.0.0.1', port: port, timeout: 10, reconnect_attempts: 0)
end

def check(name, problem = nil)
  puts(problem ? "not ok #{name}: #{problem.to_s.tr("\n", ' ')}" : "ok #{name}")
end

def compare(name, pairs)
  wrong = pairs.reject { |_, actual, expected| actual == expected }
  check(name, wrong.empty? ? nil : wrong.map { |what, a, e| "#{what}: expected #{e.inspect}, got #{a.inspect}" }.join('; '))
end

def api(port, name)
  r = connect(port)
  r.flushall
  pairs = [
    ['set', r.set('k', 'v', ex: 100), 'OK'], ['get', r.get('k'), 'v'],
    ['ttl', r.ttl('k').between?(95, 100), true], ['set nx', r.set('k', 'w', nx: true), false],
    ['mapped_mset', r.mapped_mset('a' => '1', 'b' => '2'), 'OK'],
    ['mapped_mget', r.mapped_mget('a', 'b', 'c'), { 'a' => '1', 'b' => '2', 'c' => nil }],
    ['incrbyfloat', r.incrbyfloat('a', 0.5), 1.5],
    ['hset', r.hset('h', 'f', 'v', 'g', 'w'), 2], ['hgetall', r.hgetall('h'), { 'f' => 'v', 'g' => 'w' }],
    ['rpush', r.rpush('l', %w[x y z]), 3], ['lrange', r.lrange('l', 0, -1), %w[x y z]],
    ['sadd', r.sadd?('s', %w[m n]), true], ['smembers', r.smembers('s').sort, %w[m n]],
    ['zadd', r.zadd('z', [[1, 'one'], [2.5, 'two']]), 2],
    ['zrange', r.zrange('z', 0, -1, with_scores: true), [['one', 1.0], ['two', 2.5]]],
    ['zpopmin', r.zpopmin('z'), ['one', 1.0]], ['scan_each', r.scan_each(match: '?').to_a.sort, %w[a b h k l s z]],
    ['type', r.type('z'), 'zset'], ['exists?', r.exists?('none'), false], ['del', r.del('a', 'b'), 2]
  ]
  pairs << ['pipelined', r.pipelined { |p| p.set('p', '1'); p.incr('p') }, ['OK', 2]]
  pairs << ['multi', r.multi { |m| m.set('m', '1'); m.incr('m'); m.hgetall('h') }, ['OK', 2, { 'f' => 'v', 'g' => 'w' }]]
  lost = r.watch('k') do
    connect(PORTS[2]).set('k', 'changed')
    r.multi { |m| m.set('k', 'lost') }
  end
  pairs << ['watch, changed', lost, nil] << ['its value', r.get('k'), 'changed']
  pairs << ['watch', r.watch('k') { r.multi { |m| m.set('k', 'won') } }, ['OK']]
  compare("the library's own methods, #{name}", pairs)
end

def while_a_node_dies
  other = connect(PORTS[1])
  connect(PORTS[0]).set('survivor', 'before')
  puts 'midway'
  counts = Hash.new(0)
  until IO.select([$stdin], nil, nil, 0)
    begin
      replies = other.watch('counter') do
        value = other.get('counter').to_i + 1
        other.multi { |m| m.set('counter', value); m.rpush('steps', value) }
      end
      counts[replies ? :done : :lost] += 1
    rescue Redis::BaseConnectionError
      counts[:unknown] += 1
    rescue Redis::CommandError => e
      raise unless e.message =~ UNKNOWN || e.message =~ REFUSED

      counts[e.message =~ UNKNOWN ? :unknown : :refused] += 1
    end
    sleep 0.002
  end
  total = other.get('counter').to_i
  good = other.lrange('steps', 0, -1).map(&:to_i) == (1..total).to_a && counts[:done] > 20 &&
         total.between?(counts[:done], counts[:done] + counts[:unknown])
  check("optimistic counter while a node dies: #{counts}", good ? nil : "the counter is #{total}")
  value = nil
  300.times do
    value = begin
      connect(PORTS[0]).get('survivor')
    rescue Redis::BaseError => e
      e.message
    end
    break if value == 'before'

    sleep 0.05
  end
  check('the node that died works again', value == 'before' ? nil : value)
end

api(PORTS[0], 'leader')
api(PORTS[1], 'follower')
while_a_node_dies
puts 'done'
