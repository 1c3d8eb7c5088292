# frozen_string_literal: true

require "pg"
require "socket"
require_relative "support/services_folder"

RSpec.describe "bin/services" do
  let(:folder) { ServicesFolder.new }

  after { folder.remove }

  def query(sql)
    connection = PG.connect(folder.status["postgres"]["url"])
    connection.exec(sql).values
  ensure
    connection&.close
  end

  # A process that has ended may wait as a zombie for the machine's first process to notice.
  def alive?(pid)
    state = `ps -o stat= -p #{pid}`.strip
    !state.empty? && !state.start_with?("Z")
  end

  it "says that nothing runs before the first up" do
    expect(folder.status["kafka"]).to include("running" => false, "pid" => nil, "brokers" => nil)
    expect(folder.status["postgres"]).to include("running" => false, "pid" => nil, "url" => nil)
  end

  it "starts both, is harmless when repeated, and stops both" do
    expect(folder.run("up").exit_code).to eq(0)
    first = folder.status
    expect(first["kafka"]).to include("running" => true, "brokers" => /\A127\.0\.0\.1:\d+\z/)
    expect(first["postgres"]).to include("running" => true, "url" => %r{\Apostgres://postgres@127\.0\.0\.1:\d+/postgres\z})
    expect(query("select 1")).to eq([["1"]])
    Socket.tcp("127.0.0.1", first["kafka"]["brokers"][/\d+\z/].to_i, connect_timeout: 2).close

    expect(folder.run("up").exit_code).to eq(0)
    expect(folder.status).to eq(first)

    expect(folder.run("down").exit_code).to eq(0)
    expect(folder.status.values.map { |service| service["running"] }).to eq([false, false])
    expect(first.values.map { |service| alive?(service["pid"]) }).to eq([false, false])
  end

  it "keeps port and data over an outage of one service" do
    folder.run("up", "postgres")
    before = folder.status["postgres"]
    query("create table kept as select 7 as number")

    folder.run("down", "postgres")
    expect(folder.status["postgres"]["running"]).to be(false)
    folder.run("up", "postgres")

    expect(folder.status["postgres"]["url"]).to eq(before["url"])
    expect(query("select number from kept")).to eq([["7"]])
    expect(folder.status["kafka"]["running"]).to be(false)
  end

  it "takes another port when a stranger holds its own" do
    folder.run("up", "postgres")
    folder.run("down", "postgres")
    port = folder.status["postgres"]["url"][/:(\d+)/, 1].to_i
    stranger = TCPServer.new("127.0.0.1", port)

    said = folder.run("up", "postgres")

    expect(said.output).to include("port #{port} is held by another program")
    expect(query("select 1")).to eq([["1"]])
  ensure
    stranger&.close
  end

  it "leaves a stranger alone whose pid stands in an old pid file" do
    stranger = Process.spawn("sleep", "600")
    FileUtils.mkdir_p(File.join(folder.path, "kafka"))
    File.write(File.join(folder.path, "kafka", "pid"), "#{stranger}\n")

    expect(folder.status["kafka"]).to include("running" => false, "pid" => nil)
    expect(folder.run("down").exit_code).to eq(0)
    expect(Process.waitpid(stranger, Process::WNOHANG)).to be_nil
  ensure
    Process.kill("KILL", stranger)
    Process.wait(stranger)
  end

  context "in a folder that the user postgres cannot enter" do
    let(:folder) { ServicesFolder.new(reachable: false) }

    it "runs PostgreSQL all the same" do
      said = folder.run("up", "postgres")

      expect(said.errors).to eq("")
      expect(query("select 1")).to eq([["1"]])
    end
  end

  it "rejects a service that it does not have" do
    said = folder.run("up", "redis")

    expect(said.exit_code).to eq(2)
    expect(said.errors).to include("redis")
  end
end
