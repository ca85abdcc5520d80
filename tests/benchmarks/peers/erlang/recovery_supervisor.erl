%% The supervisor of the recovery benchmark: one worker, permanent, one_for_one, as in OTP's design principles.
%% main/1 answers each line of standard input: a line back for "who", a killed worker for "kill".
-module(recovery_supervisor).
-behaviour(supervisor).
-export([main/1, init/1]).

main([Mode, Python, Program]) ->
    {ok, _} = supervisor:start_link(?MODULE, {Mode, Python, Program}),
    loop().

init({Mode, Python, Program}) ->
    Worker = #{id => worker,
               start => {recovery_worker, start_link, [Mode, Python, Program]},
               restart => permanent,
               shutdown => 2000,
               type => worker},
    {ok, {#{strategy => one_for_one, intensity => 100000, period => 1}, [Worker]}}.

loop() ->
    case io:get_line("") of
        "who\n" ->
            Answer = try gen_server:call(recovery_worker, who, 1000)
                     catch _:_ -> "nobody"
                     end,
            io:format("~s~n", [Answer]),
            loop();
        "kill\n" ->
            case whereis(recovery_worker) of
                undefined -> ok;
                Worker -> exit(Worker, kill)
            end,
            loop();
        _ ->
            halt(0, [{flush, false}])
    end.
