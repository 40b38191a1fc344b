#pragma once
// The first seam, simulated: `claude` processes that behave as docs and measurements have it (stream-json in both
// directions, permissions, interrupts, background tasks, the many ways to fail), each turn as chance decides.

#include "checks.hpp"
#include "disk.hpp"
#include "setting.hpp"
#include "worker/cli_version.hpp"
#include "worker/launcher.hpp"

#include <nlohmann/json.hpp>

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace awm::simulation {

class claude;

/// A conversation that the CLI keeps, whatever process serves it.
struct conversation_memory {
  std::vector<std::string> tags;
  claude* owner = nullptr;  // that lives
};

/// All children of the world, and what they leave behind.
class children {
 public:
  children(setting& shared, checks& told) : shared_(shared), checks_(told) {}

  /// How a server's process starts them.
  std::unique_ptr<worker::launcher> launcher(asio::any_io_executor executor, std::shared_ptr<process> whose);

  /// Those that have not ended, of all servers.
  std::size_t alive() const;
  /// Those of them that serve a turn, or are to.
  std::size_t at_work() const;
  /// A server begins: what was spent before is none of its business.
  void count_anew() { spent_usd_ = 0; }

  std::map<std::string, conversation_memory> sessions;
  std::string version = "2.1.329";
  std::optional<double> budget_usd;

 private:
  friend class claude;
  friend class simulated_launcher;

  setting& shared_;
  checks& checks_;
  std::vector<std::weak_ptr<claude>> all_;
  double spent_usd_ = 0;
  std::size_t names_ = 0;
};

/// Told when there is something to read, and when the process is gone.
class child_listener {
 public:
  child_listener() = default;
  child_listener(const child_listener&) = delete;
  child_listener& operator=(const child_listener&) = delete;
  virtual ~child_listener() = default;
  virtual void output_came() = 0;
  virtual void ended() = 0;
};

/// One process.
class claude : public std::enable_shared_from_this<claude> {
 public:
  claude(setting& shared, checks& told, children& all, worker::launch_spec spec);

  void begin();

  // What its parent does.
  void listen(child_listener* listener) { listener_ = listener; }
  void send(const std::string& text);
  void close_input();
  void signal(int number);
  std::size_t read(std::span<char> into);
  bool has_output() const { return !readable_.empty(); }
  const std::optional<coro::exit_status>& exit() const { return exit_; }
  const std::string& error_tail() const { return error_text_; }

  bool is_probe() const { return is_probe_; }
  /// It has a turn, or waits for its first.
  bool is_at_work() const {
    const bool waits = !had_turn_ && !input_closed_;
    return !is_probe_ && !exit_ && (is_in_turn_ || waits || !background_.empty());
  }
  const std::string& name() const { return name_; }

 private:
  using json = nlohmann::json;
  enum class act { reply, tool, noise, retry, background, end };
  enum class ending {
    success,
    failure,
    rate_limit,
    overloaded,
    sign_in,
    broken_result,
    death,
    half_line,
    hang,
    endless
  };
  struct open_question {
    std::string tag;
    std::string command;
  };
  struct queued_prompt {
    std::string text;
    std::string uuid;
  };

  void start_session();
  void handle(const json& line);
  void handle_request(const json& line);
  void handle_answer(const json& response);
  void take_prompt(queued_prompt prompt);
  void begin_turn(std::vector<queued_prompt> prompts, const char* origin);
  void watch_the_time();
  void plan_turn();
  void next();
  void later(duration delay, void (claude::*what)());
  void play(act what);
  void say_reply(bool with_tool);
  void ask(std::size_t count);
  void end_tool();
  void fold_prompts();
  void make_noise();
  void start_background();
  void end_background();
  void finish(ending how);
  void print_result(json more);
  void interrupt();
  void end_of_turn();
  void exit_soon(int code, duration delay);
  void become(int code);
  void print(const json& line) { print_line(line.dump(), {}); }
  void print_line(std::string text, std::string message_id);
  void print_message(const char* role, json message, json more = json::object());
  void release();
  void tell(const json& line);
  bool speaks_new() const { return all_.version != "2.1.197"; }
  std::string argument(std::string_view flag) const;
  std::string variable(std::string_view name) const;
  bool by_chance(std::size_t one_in) { return shared_.sky.children_misbehave && shared_.random.one_in(one_in); }

  setting& shared_;
  checks& checks_;
  children& all_;
  worker::launch_spec spec_;
  std::string name_;
  child_listener* listener_ = nullptr;
  bool is_probe_ = false;

  bool is_ready_ = false;
  bool has_died_ = false;  // nothing more is printed
  bool is_exiting_ = false;
  bool input_closed_ = false;
  bool ignores_interrupts_ = false;
  bool ignores_signals_ = false;
  std::optional<int> code_;
  std::optional<coro::exit_status> exit_;
  std::string error_text_;

  std::string input_;
  std::deque<json> inbox_;

  std::string pending_;   // printed
  std::string readable_;  // in the pipe
  bool is_releasing_ = false;
  std::uint64_t printed_ = 0;
  std::uint64_t consumed_ = 0;
  struct printed_message {
    std::uint64_t end = 0;
    std::string tag;
    std::string id;
  };
  std::deque<printed_message> messages_;
  bool is_trusted_ = true;  // nothing that it prints ends its turn early

  bool is_wanted_ = true;  // somebody waits for the turn

  std::string session_;
  bool is_in_turn_ = false;
  bool had_turn_ = false;
  std::vector<queued_prompt> turn_prompts_;
  std::deque<queued_prompt> queue_;
  std::string tag_;
  std::deque<act> script_;
  bool is_waiting_ = false;  // an event will go on with the script
  ending ending_ = ending::success;
  std::size_t replies_ = 0;
  std::size_t tools_ = 0;
  std::string open_tool_;
  std::map<std::string, open_question, std::less<>> questions_;
  std::set<std::string> background_;
  std::vector<std::string> steered_;
  double cost_ = 0;
  double cost_before_ = 0;
  std::size_t turn_number_ = 0;  // guards events of a turn that is over
};

}  // namespace awm::simulation
