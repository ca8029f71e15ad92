# sidekiq as Debian packages it, its processes on nodes that live, while the leader dies: every job
# whose pushing was answered is done.  See `run` for the words that are exchanged with the runner.
#
# The same file is what sidekiq's processes require.
require 'sidekiq'
require 'tempfile'

class Job
  include Sidekiq::Job
  sidekiq_options queue: 'jobs', retry: false

  def perform(number)
    sleep 0.003
    File.write(ENV.fetch('DONE'), "#{number}\n", mode: 'a')
  end
end

# ---- the test -------------------------------------------------------------------------------------

def check(name, problem = nil)
  puts(problem ? "not ok #{name}: #{problem}" : "ok #{name}")
end

def pool_of(port)
  Sidekiq::RedisConnection.create(url: "redis://127.0.0.1:#{port}", size: 2)
end

def start_sidekiq(port)
  spawn({ 'REDIS_URL' => "redis://127.0.0.1:#{port}" },
        'sidekiq', '-r', __FILE__, '-q', 'jobs', '-c', '3', in: '/dev/null', out: '/dev/null', err: '/dev/null')
end

# What fails is pushed again.
def push(port, first, over, added)
  client = Sidekiq::Client.new(pool_of(port))
  number = first
  until over[:over]
    begin
      client.push('class' => 'Job', 'queue' => 'jobs', 'args' => [number], 'retry' => false)
      added << number
      number += 2
    rescue Redis::BaseError
      sleep 0.02
    end
    sleep 0.005
  end
end

def leader_dies
  sleep 1.5 # a process takes as long to start
  puts 'midway'
  $stdin.gets
end

def wait_until_done(added, file)
  lost = []
  300.times do
    lost = added - File.readlines(file.path).map(&:to_i)
    break if lost.empty?

    sleep 0.1
  end
  lost
end

def test(ports)
  file = Tempfile.new('sidekiq')
  ENV['DONE'] = file.path
  Sidekiq.logger.level = Logger::FATAL
  processes = ports.drop(1).map { |port| start_sidekiq(port) }
  over = { over: false }
  added = Queue.new
  producers = [0, 1].map { |at| Thread.new { push(ports[at], at, over, added) } }
  leader_dies
  over[:over] = true
  producers.each(&:join)
  added = Array.new(added.size) { added.pop }
  lost = wait_until_done(added, file)
  check("every job is done, #{added.size} pushed",
        lost.any? ? "not done: #{lost.take(20)}" : (added.size > 50 ? nil : 'too few'))
  puts 'done'
ensure
  (processes || []).each { |pid| Process.kill('KILL', pid); Process.wait(pid) }
end

if $PROGRAM_NAME == __FILE__
  $stdout.sync = true
  test(ARGV.map(&:to_i))
end
