#include "cli/config.hpp"

#include "cli/version.hpp"
#include "worker/memory_limit.hpp"

#include <CLI/CLI.hpp>
#include <toml++/toml.h>

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <iostream>
#include <optional>
#include <sstream>
#include <thread>
#include <vector>

namespace awm::cli {
namespace {

constexpr int usage_error = 2;

/// Where in the file, and what is wrong there.
struct file_problem {
  toml::source_position where;
  std::string text;
};

/// A key of the configuration file: the flag that has precedence over it, and how its value is taken.
struct file_key {
  std::string name;
  CLI::Option* flag;
  /// False when the value has the wrong type or is not allowed.
  std::function<bool(const toml::node& value)> take;
  std::string allowed;
  /// Instead of `take`, where only one part of the value may be wrong.
  std::function<std::optional<file_problem>(const toml::node& value)> take_parts = nullptr;
};

std::function<bool(const toml::node&)> into(std::string& target) {
  return [&target](const toml::node& value) {
    const auto text = value.value<std::string>();
    if (text) target = *text;
    return text && !text->empty();
  };
}

template <class Number>
std::function<bool(const toml::node&)> into(Number& target, std::int64_t least, std::int64_t most) {
  return [&target, least, most](const toml::node& value) {
    const auto number = value.value_exact<std::int64_t>().value_or(least - 1);
    if (number < least || number > most) return false;
    target = static_cast<Number>(number);
    return true;
  };
}

/// What is wrong with a size; empty: nothing, and `target` has it.
std::string take_size(const std::string& text, std::uint64_t& target) {
  constexpr std::uint64_t least = std::uint64_t{16} << 20U;  // less is a mistake in the unit
  const auto size = worker::size_from(text);
  if (!size || *size < least) return text + " is no size of 16M or more: give a number with K, M, G or T, such as 2G";
  target = *size;
  return {};
}

const std::vector<std::string>& log_levels() {
  static const std::vector<std::string> levels{"trace", "debug", "info", "warn", "error", "off"};
  return levels;
}

bool take_sampling(const toml::node& value, worker::sampling_table& table) {
  const auto* const rows = value.as_table();
  if (rows == nullptr) return false;
  for (const auto& [pattern, word] : *rows) {
    const auto support = worker::parse_sampling_support(word.value_or(std::string_view{}));
    if (!support) return false;
    table.insert_or_assign(std::string(pattern.str()), *support);
  }
  return true;
}

std::string text_of(const toml::node& node) {
  std::ostringstream text;
  node.visit([&text](const auto& value) { text << value; });
  return text.str();
}

const std::vector<std::string>& answerers() {
  static const std::vector<std::string> words{"auto", "human", "model"};
  return words;
}

std::optional<file_problem> take_rules(const toml::node& value, std::string_view name, manager::verdict what,
                                       manager::permission_rules& rules) {
  const auto* const list = value.as_array();
  const auto problem = [&](const toml::node& node) {
    return file_problem{node.source().begin, "permissions." + std::string(name) + " = " + text_of(node) +
                                                 ": give an array of rules such as [\"Bash(npm test:*)\", \"Read\"]"};
  };
  if (list == nullptr) return problem(value);
  for (const auto& entry : *list) {
    const auto rule = entry.value<std::string>();
    if (!rule) return problem(entry);
    if (const auto error = rules.add(what, *rule)) {
      return file_problem{entry.source().begin, "permissions." + std::string(name) + ": " + error->message};
    }
  }
  return std::nullopt;
}

/// The table [permissions]. Its `ask_by` gives way to the flag.
std::optional<file_problem> take_permissions(const toml::node& value, bool has_flag, config& result) {
  const auto* const table = value.as_table();
  if (table == nullptr) return file_problem{value.source().begin, "permissions: write it as a table, [permissions]"};
  for (const auto& [key, entry] : *table) {
    const std::string_view name = key.str();
    std::optional<file_problem> problem;
    if (name == "allow") {
      problem = take_rules(entry, name, manager::verdict::allow, result.permissions);
    } else if (name == "deny") {
      problem = take_rules(entry, name, manager::verdict::deny, result.permissions);
    } else if (name == "ask") {
      problem = take_rules(entry, name, manager::verdict::ask, result.permissions);
    } else if (name == "ask_by") {
      const auto word = entry.value_or(std::string{});
      const bool is_known = std::find(answerers().begin(), answerers().end(), word) != answerers().end();
      if (!is_known) {
        return file_problem{entry.source().begin,
                            "permissions.ask_by = " + text_of(entry) + ": give \"auto\", \"human\" or \"model\""};
      }
      if (!has_flag) result.ask = word;
    } else {
      return file_problem{entry.source().begin, "unknown key \"permissions." + std::string(name) +
                                                    "\". Known keys: allow, deny, ask, ask_by"};
    }
    if (problem) return problem;
  }
  return std::nullopt;
}

/// What is wrong with the file, or nothing.
std::optional<std::string> read_file(const std::string& path, const std::vector<file_key>& keys) {
  toml::table file;
  try {
    file = toml::parse_file(path);
  } catch (const toml::parse_error& error) {
    std::ostringstream text;
    text << path << ":" << error.source().begin.line << ": " << error.description();
    return text.str();
  }
  for (const auto& [name, value] : file) {
    const auto known = std::find_if(keys.begin(), keys.end(), [&](const auto& key) { return key.name == name.str(); });
    const auto at = [&path](const toml::source_position& where) {
      return path + ":" + std::to_string(where.line) + ": ";
    };
    const auto line = at(value.source().begin);
    if (known == keys.end()) {
      std::string names;
      for (const auto& key : keys) names += (names.empty() ? "" : ", ") + key.name;
      return line + "unknown key \"" + std::string(name.str()) + "\". Known keys: " + names;
    }
    if (known->flag != nullptr && known->flag->count() > 0) continue;
    if (known->take_parts) {
      if (const auto problem = known->take_parts(value)) return at(problem->where) + problem->text;
      continue;
    }
    if (!known->take(value)) return line + known->name + " = " + text_of(value) + ": give " + known->allowed;
  }
  return std::nullopt;
}

}  // namespace

config read_config(int argc, char** argv, int& exit_code) {
  config result;
  std::string file;
  CLI::App app(
      "Runs many Claude Code workers side by side. Without a subcommand it is an MCP server on stdin and stdout, for "
      "Claude Code "
      "and other MCP clients:\n\n  claude mcp add workers -- async-worker-manager --log-dir ~/worker-logs\n\n"
      "Every flag can also be set by the environment variable in brackets, and by a key of the TOML file given with "
      "--config "
      "(the flag's name with _ for -). Flags count before the environment, and that before the file. The file may also "
      "hold a table "
      "[sampling] that says which models take temperature, top_p and top_k: pattern = \"none\", \"one\", "
      "\"one_without_thinking\" or \"both\"; and a table [permissions] with rules in Claude Code's syntax that answer "
      "what "
      "workers ask: allow, deny, ask = [\"Bash(npm test:*)\", \"Edit(/src/**)\", …] (deny counts before ask, ask "
      "before "
      "allow), and ask_by, which is --ask.",
      "async-worker-manager");
  app.set_version_flag("--version", std::string("async-worker-manager ") + version);
  app.get_formatter()->column_width(42);
  auto* const claude = app.add_option("--claude", result.claude, "The Claude Code CLI: a path, or a name in PATH")
                           ->envname("AWM_CLAUDE")
                           ->capture_default_str()
                           ->type_name("PATH");
  auto* const log_dir = app.add_option("--log-dir", result.log_dir,
                                       "Where transcripts go, one worker-{id}.json each; created with mode 0700")
                            ->envname("AWM_LOG_DIR")
                            ->capture_default_str()
                            ->type_name("DIR");
  auto* const max_workers =
      app.add_option("--max-workers", result.max_workers,
                     "How many workers run at once; further ones wait in a queue. Default: as many as the "
                     "memory holds at 256 MiB each, and no more than 32 for a core")
          ->envname("AWM_MAX_WORKERS")
          ->check(CLI::Range(1, 100000))
          ->type_name("N");
  auto* const worker_memory =
      app.add_option(
             "--worker-memory",
             "What a worker may use of the machine's memory, such as 2G: with all that it starts, where a memory "
             "cgroup can be written; else each of its processes by itself, reserved memory included, and then "
             "1G is the least. Default: no limit")
          ->envname("AWM_WORKER_MEMORY")
          ->check([&result](const std::string& text) { return take_size(text, result.worker_memory); })
          ->type_name("SIZE");
  auto* const log_level = app.add_option("--log-level", result.log_level, "What is logged to stderr")
                              ->envname("AWM_LOG_LEVEL")
                              ->check(CLI::IsMember(log_levels()))
                              ->capture_default_str()
                              ->type_name("LEVEL");
  auto* const default_model =
      app.add_option("--default-model", result.default_model, "The model of workers that name none")
          ->envname("AWM_DEFAULT_MODEL")
          ->capture_default_str()
          ->type_name("MODEL");
  auto* const sampling_model =
      app.add_option("--sampling-model", result.sampling_model,
                     "The model of workers with sampling options (temperature, top_p, top_k) that name none")
          ->envname("AWM_SAMPLING_MODEL")
          ->capture_default_str()
          ->type_name("MODEL");
  auto* const budget = app.add_option("--budget-usd", result.budget_usd,
                                      "What all workers together may cost, in US dollars (an estimate). When it is "
                                      "spent, running ones are told to wrap up and are interrupted after a minute, and "
                                      "nothing new starts. Default: no limit")
                           ->envname("AWM_BUDGET_USD")
                           ->check(CLI::PositiveNumber)
                           ->type_name("USD");
  auto* const max_depth = app.add_option("--max-depth", result.max_depth,
                                         "How deep workers may start workers (options.mcp can give them this server): "
                                         "1, not at all")
                              ->envname("AWM_MAX_DEPTH")
                              ->check(CLI::Range(1, 10))
                              ->capture_default_str()
                              ->type_name("N");
  auto* const keep_warm = app.add_option("--keep-warm", result.keep_warm_s,
                                         "How many seconds the process of a completed worker stays, so that resuming "
                                         "it saves its start; 0: not at all")
                              ->envname("AWM_KEEP_WARM")
                              ->check(CLI::Range(0, 86400))
                              ->capture_default_str()
                              ->type_name("SECONDS");
  auto* const max_warm =
      app.add_option("--max-warm", result.max_warm, "How many such processes stay; the one used longest ago goes first")
          ->envname("AWM_MAX_WARM")
          ->check(CLI::Range(0, 10000))
          ->capture_default_str()
          ->type_name("N");
  auto* const prewarm =
      app.add_option(
             "--prewarm", result.prewarm,
             "How many processes, up to 1000, are kept started for workers to come: the first prompt of one that "
             "runs in the server's directory and needs no environment or flags of its own saves the start. Not "
             "with --budget-usd")
          ->envname("AWM_PREWARM")
          ->check(CLI::Range(0, 1000))
          ->capture_default_str()
          ->type_name("N");
  auto* const retries = app.add_option("--rate-limit-retries", result.rate_limit_retries,
                                       "How often a turn that failed because of the API's rate limit or overload is "
                                       "taken up again")
                            ->envname("AWM_RATE_LIMIT_RETRIES")
                            ->check(CLI::Range(0, 1000))
                            ->capture_default_str()
                            ->type_name("N");
  auto* const pause = app.add_option("--rate-limit-pause", result.rate_limit_pause_s,
                                     "How many seconds nothing starts after a refusal that does not say when it ends; "
                                     "doubled with every further one, up to 16 times")
                          ->envname("AWM_RATE_LIMIT_PAUSE")
                          ->check(CLI::Range(1, 3600))
                          ->capture_default_str()
                          ->type_name("SECONDS");
  auto* const ask =
      app.add_option("--ask", result.ask,
                     "Who answers what workers ask and no permission rule decides: human (asked by the "
                     "client), model (approve_permission), or auto: the human where the client can ask one")
          ->envname("AWM_ASK")
          ->check(CLI::IsMember(answerers()))
          ->capture_default_str()
          ->type_name("WHO");
  app.add_option("--config", file, "A TOML file with the settings above")->envname("AWM_CONFIG")->type_name("FILE");
  app.add_subcommand("serve", "The MCP server on stdin and stdout; the same as no subcommand")->fallthrough();
  app.require_subcommand(0, 1);

  exit_code = -1;
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    exit_code = app.exit(error) == 0 ? 0 : usage_error;
    return result;
  }
  if (result.log_dir.empty()) {
    std::cerr << "--log-dir is empty: give the directory for the transcripts\n";
    exit_code = usage_error;
    return result;
  }
  if (!std::isfinite(result.budget_usd)) {
    std::cerr << "--budget-usd: give US dollars, more than 0; leave it out for no limit\n";
    exit_code = usage_error;
    return result;
  }
  if (file.empty()) return result;
  if (std::error_code ignored; !std::filesystem::is_regular_file(file, ignored)) {
    std::cerr << "--config " << file << ": there is no such file\n";
    exit_code = usage_error;
    return result;
  }
  const std::vector<file_key> keys{
      {"claude", claude, into(result.claude), "a path or a name in PATH"},
      {"log_dir", log_dir,
       [&result](const toml::node& value) {
         const auto text = value.value<std::string>();
         if (text) result.log_dir = *text;
         return text && !text->empty();
       },
       "a directory"},
      {"max_workers", max_workers, into(result.max_workers, 1, 100000), "a number of at least 1"},
      {"worker_memory", worker_memory,
       [&result](const toml::node& value) {
         return take_size(value.value<std::string>().value_or(std::string()), result.worker_memory).empty();
       },
       "a size of 16M or more, such as \"2G\""},
      {"budget_usd", budget,
       [&result](const toml::node& value) {
         result.budget_usd = value.value<double>().value_or(0);
         return result.budget_usd > 0 && std::isfinite(result.budget_usd);
       },
       "US dollars, more than 0"},
      {"max_depth", max_depth, into(result.max_depth, 1, 10), "a number from 1 to 10"},
      {"keep_warm", keep_warm, into(result.keep_warm_s, 0, 86400), "seconds, 0 to 86400"},
      {"max_warm", max_warm, into(result.max_warm, 0, 10000), "a number from 0 to 10000"},
      {"prewarm", prewarm, into(result.prewarm, 0, 1000), "a number from 0 to 1000"},
      {"rate_limit_retries", retries, into(result.rate_limit_retries, 0, 1000), "a number from 0 to 1000"},
      {"rate_limit_pause", pause, into(result.rate_limit_pause_s, 1, 3600), "seconds, 1 to 3600"},
      {"log_level", log_level,
       [&result](const toml::node& value) {
         const auto text = value.value_or(std::string{});
         const auto& levels = log_levels();
         if (std::find(levels.begin(), levels.end(), text) == levels.end()) return false;
         result.log_level = text;
         return true;
       },
       "trace, debug, info, warn, error or off"},
      {"default_model", default_model, into(result.default_model), "a model's name"},
      {"sampling_model", sampling_model, into(result.sampling_model), "a model's name"},
      {"sampling", nullptr, [&result](const toml::node& value) { return take_sampling(value, result.sampling); },
       "a table of model pattern = \"none\", \"one\", \"one_without_thinking\" or \"both\""},
      {"permissions", nullptr, nullptr, "", [&result, has_flag = ask->count() > 0](const toml::node& value) {
         return take_permissions(value, has_flag, result);
       }}};
  if (const auto problem = read_file(file, keys)) {
    std::cerr << *problem << "\n";
    exit_code = usage_error;
  }
  return result;
}

std::size_t workers_that_fit() {
  constexpr std::size_t memory_per_worker = std::size_t{256} * 1024 * 1024;
  constexpr std::size_t workers_per_core = 32;
  constexpr std::size_t least = 4;
  const auto pages = ::sysconf(_SC_PHYS_PAGES);
  const auto page = ::sysconf(_SC_PAGESIZE);
  const auto cores = std::max(1U, std::thread::hardware_concurrency());
  if (pages <= 0 || page <= 0) return least;
  const auto memory = static_cast<std::size_t>(pages) * static_cast<std::size_t>(page);
  return std::max(least, std::min(memory / 5 * 4 / memory_per_worker, workers_per_core * cores));
}

}  // namespace awm::cli
