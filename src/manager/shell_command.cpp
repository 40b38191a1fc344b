#include "manager/shell_command.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

namespace awm::manager {
namespace {

constexpr std::string_view blanks = " \t";
constexpr std::string_view operators = ";|&<>()\n";

bool is_blank(char letter) {
  return blanks.find(letter) != std::string_view::npos;
}

bool is_digit(char letter) {
  return letter >= '0' && letter <= '9';
}

bool all_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_digit);
}

template <std::size_t size>
bool contains(const std::array<std::string_view, size>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

constexpr std::array<std::string_view, 25> keywords{
    "if", "then", "elif", "else",   "fi",        "for",      "foreach", "while", "until",
    "do", "done", "case", "esac",   "select",    "function", "coproc",  "{",     "}",
    "!",  "[[",   "]]",   "repeat", "nocorrect", "noglob",   "end"};

constexpr std::array<std::string_view, 20> runners{"sudo", "doas",   "env",    "command", "builtin", "exec",    "nohup",
                                                   "nice", "ionice", "time",   "timeout", "stdbuf",  "setsid",  "xargs",
                                                   "chrt", "watch",  "strace", "-",       "busybox", "unbuffer"};

constexpr std::array<std::string_view, 8> shells{"sh", "bash", "zsh", "dash", "ksh", "fish", "eval", "source"};

struct simple_command {
  std::string plain;               ///< as written, without redirections that write no file
  std::string full;                ///< as written
  std::vector<std::string> words;  ///< what the shell makes of it: no quotes, no redirections
};

std::string joined(const std::vector<std::string>& words, std::size_t from) {
  std::string text;
  for (auto word = from; word < words.size(); ++word) text += (word > from ? " " : "") + words[word];
  return text;
}

/// Reads a line once, from left to right.
class splitter {
 public:
  explicit splitter(std::string_view line) : rest_(line) {
    while (!rest_.empty()) read_next();
    end_command();
  }

  bool is_certain() const { return certain_; }
  const std::vector<simple_command>& commands() const { return commands_; }

 private:
  void read_next() {
    const char next = rest_.front();
    if (is_blank(next)) return read_blank();
    if (next == '\'') return read_single_quotes();
    if (next == '"') return read_double_quotes();
    if (next == '\\') return read_escape();
    if (next == '<' || next == '>' || rest_.starts_with("&>")) return read_redirection();
    if (next == '(' || next == ')' || next == '`') return doubt_and_separate();
    if (next == ';' || next == '|' || next == '&' || next == '\n') return read_separator();
    doubt_if(next == '{' && !rest_.starts_with("{}"));
    doubt_if(next == '#' && !in_word_);
    doubt_if((next >= 0 && next < ' ') || next == '\x7f');
    doubt_if(next == '$' && expands(rest_.substr(1), " \t\n;|&<>)"));
    if (rest_.starts_with("{}")) take(1, "{");
    take(1, rest_.substr(0, 1));
  }

  void doubt_if(bool reason) { certain_ = certain_ && !reason; }

  /// A `$` that has one of `ends` or nothing behind it stands for itself.
  static bool expands(std::string_view behind, std::string_view ends) {
    return !behind.empty() && ends.find(behind.front()) == std::string_view::npos;
  }

  /// Takes `size` bytes that make `meaning` a part of the current word.
  void take(std::size_t size, std::string_view meaning) {
    if (!in_word_) word_begin_ = {command_.plain.size(), command_.full.size()};
    in_word_ = true;
    word_ += meaning;
    command_.plain += rest_.substr(0, size);
    command_.full += rest_.substr(0, size);
    rest_.remove_prefix(std::min(size, rest_.size()));
  }

  void read_blank() {
    end_word();
    rest_.remove_prefix(1);
    separate(command_.plain);
    separate(command_.full);
  }

  static void separate(std::string& text) {
    if (!text.empty() && !text.ends_with(' ')) text += ' ';
  }

  void read_single_quotes() {
    const auto end = rest_.find('\'', 1);
    doubt_if(end == std::string_view::npos);
    doubt_if(rest_.substr(0, end).find('\0') != std::string_view::npos);
    const auto size = std::min(end, rest_.size() - 1) + 1;
    take(size, rest_.substr(1, end == std::string_view::npos ? end : end - 1));
  }

  void read_double_quotes() {
    std::string meaning;
    std::size_t at = 1;
    for (; at < rest_.size() && rest_[at] != '"'; ++at) {
      const char letter = rest_[at];
      doubt_if(letter == '`' || letter == '\0');
      doubt_if(letter == '$' && expands(rest_.substr(at + 1), " \t\""));
      if (letter == '\\' && at + 1 < rest_.size()) {
        const char escaped = rest_[++at];
        doubt_if(escaped == '\n');
        if (std::string_view("$`\"\\\n").find(escaped) == std::string_view::npos) meaning += letter;
        if (escaped != '\n') meaning += escaped;
        continue;
      }
      meaning += letter;
    }
    doubt_if(at >= rest_.size());
    take(std::min(at + 1, rest_.size()), meaning);
  }

  void read_escape() {
    const auto escaped = rest_.substr(1, 1);
    doubt_if(escaped.empty() || escaped == "\n");
    take(2, escaped == "\n" ? "" : escaped);
  }

  void read_separator() {
    end_command();
    rest_.remove_prefix(1);
  }

  void doubt_and_separate() {
    certain_ = false;
    read_separator();
  }

  void read_redirection() {
    drop_descriptor_number();
    end_word();
    if (const auto size = harmless_redirection(); size > 0) {
      command_.full += rest_.substr(0, size);
      rest_.remove_prefix(size);
      return;
    }
    certain_ = false;
    const auto size = std::min(rest_.find_first_not_of("<>&|-"), rest_.size());
    command_.full += rest_.substr(0, size);
    rest_.remove_prefix(size);
    next_word_is_target_ = true;
  }

  /// In `2>file` the 2 is no word of the command.
  void drop_descriptor_number() {
    if (!in_word_ || !all_digits(std::string_view(command_.plain).substr(word_begin_.first))) return;
    command_.plain.resize(word_begin_.first);
    word_.clear();
    in_word_ = false;
  }

  /// How long a redirection is that writes and reads no file, 0 for any other: `>&1`, `<&-`, `> /dev/null`,
  /// `&>/dev/null`.
  std::size_t harmless_redirection() const {
    const auto ends_word = [&](std::size_t at) {
      return at >= rest_.size() || is_blank(rest_[at]) || operators.find(rest_[at]) != std::string_view::npos;
    };
    if (rest_.starts_with(">&") || rest_.starts_with("<&")) {
      const auto end = std::min(rest_.find_first_not_of("0123456789", 2), rest_.size());
      if (end > 2 && ends_word(end)) return end;
      return rest_.substr(2).starts_with('-') && ends_word(3) ? 3 : 0;
    }
    for (const std::string_view redirection : {"&>>", "&>", ">>", ">|", ">", "<"}) {
      if (!rest_.starts_with(redirection)) continue;
      constexpr std::string_view nothing = "/dev/null";
      const auto target = rest_.find_first_not_of(blanks, redirection.size());
      const bool is_nothing = target != std::string_view::npos && rest_.substr(target).starts_with(nothing);
      return is_nothing && ends_word(target + nothing.size()) ? target + nothing.size() : 0;
    }
    return 0;
  }

  void end_word() {
    if (!in_word_) return;
    if (!std::exchange(next_word_is_target_, false)) command_.words.push_back(word_);
    word_.clear();
    in_word_ = false;
  }

  void end_command() {
    end_word();
    next_word_is_target_ = false;
    for (auto* text : {&command_.plain, &command_.full}) {
      if (text->ends_with(' ') && !ends_in_escaped_blank(*text)) text->pop_back();
    }
    if (!command_.words.empty()) {
      doubt_if(contains(keywords, command_.words.front()));
      commands_.push_back(std::move(command_));
    }
    command_ = {};
  }

  static bool ends_in_escaped_blank(std::string_view text) { return text.ends_with("\\ "); }

  std::string_view rest_;
  bool certain_ = true;
  bool in_word_ = false;
  bool next_word_is_target_ = false;
  std::string word_;
  std::pair<std::size_t, std::size_t> word_begin_;
  simple_command command_;
  std::vector<simple_command> commands_;
};

bool is_duration(std::string_view word) {
  if (!word.empty() && std::string_view("smhd").find(word.back()) != std::string_view::npos) word.remove_suffix(1);
  return all_digits(word);
}

/// How many words of a wrapper stand before the command that it runs unchanged; 0 when there is none or it is given
/// anything unusual. These are the wrappers that Claude Code looks through (its documentation, "Bash" under
/// permissions).
std::size_t wrapper_words(const std::vector<std::string>& words, std::size_t at) {
  const auto word = [&](std::size_t index) {
    return at + index < words.size() ? std::string_view(words[at + index]) : std::string_view{};
  };
  const auto is_command = [&](std::size_t index) {
    return !word(index).empty() && !word(index).starts_with('-') && !contains(keywords, word(index));
  };
  std::size_t taken = 0;
  if (word(0) == "nohup" || word(0) == "time") taken = 1;
  if (word(0) == "timeout" && is_duration(word(1))) taken = 2;
  if (word(0) == "nice") taken = word(1) == "-n" && all_digits(word(2)) ? 3 : 1;
  return taken > 0 && is_command(taken) ? taken : 0;
}

command_readings readings_of(const simple_command& command) {
  command_readings readings{command.plain};
  if (command.full != command.plain) readings.push_back(command.full);
  std::string_view rest = command.plain;
  std::size_t at = 0;
  while (const auto taken = wrapper_words(command.words, at)) {
    for (const auto end = at + taken; at < end; ++at) {
      const auto& word = command.words[at];
      if (!rest.starts_with(word) || !rest.substr(word.size()).starts_with(' ')) return readings;
      rest.remove_prefix(word.size() + 1);
    }
    readings.emplace_back(rest);
  }
  return readings;
}

bool is_assignment(std::string_view word) {
  const auto equals = word.find('=');
  return equals != std::string_view::npos && equals > 0 && !is_digit(word.front()) &&
         std::all_of(word.begin(), word.begin() + static_cast<std::ptrdiff_t>(equals), [](char letter) {
           return letter == '_' || letter == '+' || is_digit(letter) || (letter >= 'a' && letter <= 'z') ||
                  (letter >= 'A' && letter <= 'Z');
         });
}

/// `/bin/rm` is `rm`.
std::string_view file_name(std::string_view word) {
  return word.substr(word.rfind('/') + 1);
}

bool is_shell(std::string_view word) {
  return contains(shells, file_name(word));
}

/// Adds what may be run behind assignments, keywords and programs that run another one.
void add_suspects(const std::vector<std::string>& words, std::vector<std::string>& found) {
  constexpr std::size_t words_of_a_runner = 8;  // options and their values: `sudo -u root nice -n 5 command`
  std::size_t at = 0;
  while (at < words.size() && (is_assignment(words[at]) || contains(keywords, words[at]))) ++at;
  if (at == words.size()) return;
  found.push_back(joined(words, at));
  const auto program = file_name(words[at]);
  if (program.size() < words[at].size()) found.push_back(found.back().substr(words[at].size() - program.size()));
  if (!contains(runners, program) && !contains(shells, program)) return;
  const auto end = std::min(words.size(), at + 1 + words_of_a_runner);
  for (auto word = at + 1; word < end; ++word) {
    found.push_back(joined(words, word));
    found.emplace_back(file_name(words[word]));
    found.back() += joined(words, word).substr(words[word].size());
  }
}

std::vector<std::string> words_in(std::string_view text) {
  std::vector<std::string> words;
  while (true) {
    const auto begin = text.find_first_not_of(" \t\r\v\f");
    if (begin == std::string_view::npos) return words;
    const auto end = std::min(text.find_first_of(" \t\r\v\f", begin), text.size());
    words.emplace_back(text.substr(begin, end - begin));
    text.remove_prefix(end);
  }
}

/// Adds every piece of the line between characters that could begin or end a command.
void add_pieces(std::string_view line, std::vector<std::string>& found) {
  while (!line.empty()) {
    const auto end = std::min(line.find_first_of(";|&<>(){}\n`'\"$#"), line.size());
    add_suspects(words_in(line.substr(0, end)), found);
    line.remove_prefix(std::min(end + 1, line.size()));
  }
}

}  // namespace

std::optional<std::vector<command_readings>> certain_commands(std::string_view line) {
  const splitter split(line);
  if (!split.is_certain()) return std::nullopt;
  std::vector<command_readings> commands;
  for (const auto& command : split.commands()) commands.push_back(readings_of(command));
  return commands;
}

std::vector<std::string> suspected_commands(std::string_view line) {
  const splitter split(line);
  std::vector<std::string> found{std::string(line)};
  bool plain = split.is_certain();
  for (const auto& command : split.commands()) {
    // By every text by which it can be allowed.
    for (auto& reading : readings_of(command)) found.push_back(std::move(reading));
    add_suspects(command.words, found);
    plain = plain && std::none_of(command.words.begin(), command.words.end(), is_shell);
  }
  if (!plain) add_pieces(line, found);
  return found;
}

}  // namespace awm::manager
