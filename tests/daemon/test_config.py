#!/usr/bin/env python3
"""muster config, and what a conductor makes of its configuration while it runs."""

import os
import signal
import tempfile
import unittest

from lib import tap, wait
from lib.conductor import Conductor, clean_env, muster


class Command(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix='muster-test-')
        self.addCleanup(self.folder.cleanup)
        self.conf = os.path.join(self.folder.name, 'muster.conf')

    def write(self, text, name='muster.conf'):
        path = os.path.join(self.folder.name, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text)

    def run_config(self, *args, env=None):
        return muster('config', *args, '--config', self.conf, env=clean_env(env))

    def test_check_says_nothing_of_a_good_file(self):
        self.write('[conductor]\nmax_agents = 5\n')
        result = self.run_config('check')
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, '', ''))

    def test_check_ends_with_2_and_names_file_line_and_nearest_name(self):
        self.write('[conductor]\nmax_agent = 5\n')
        result = self.run_config('check')
        self.assertEqual(result.returncode, 2)
        self.assertIn(f'{self.conf}:2: ', result.stderr)
        self.assertIn('did you mean max_agents?', result.stderr)
        self.assertEqual(result.stderr.count('\n'), 1)

    def test_check_ends_with_2_where_there_is_no_such_store(self):
        self.write('[conductor]\nstore = oracle://db/muster\n')
        result = self.run_config('check')
        self.assertEqual(result.returncode, 2)
        self.assertIn('oracle://db/muster', result.stderr)
        self.assertIn('sqlite:PATH', result.stderr)

    def put(self, name, text, mode):
        path = os.path.join(self.folder.name, name)
        with open(path, 'w', encoding='ascii') as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def test_check_ends_as_a_start_would_for_what_is_wrong_with_its_files(self):
        good = self.put('good', '0123456789abcdef' * 2 + '\n', 0o600)
        short = self.put('short', '0123', 0o600)
        open_to_all = self.put('open', '0123456789abcdef' * 2 + '\n', 0o644)
        missing = os.path.join(self.folder.name, 'missing')
        for setting, says in ((f'secret_file = {short}', 'holds no fleet secret'),
                              (f'secret_file = {open_to_all}', f'chmod 600 {open_to_all}'),
                              (f'secret_file = {self.folder.name}', 'not a file'),
                              (f'token_file = {missing}', 'there is no such file'),
                              (f'token_file = {open_to_all}', f'chmod 600 {open_to_all}'),
                              (f'listen = {good}', 'no socket is there'),
                              (f'http = {good}', 'no socket is there')):
            with self.subTest(setting=setting):
                secret = '' if setting.startswith('secret') else f'secret_file = {good}\n'
                self.write('[conductor]\nlisten = {0}/agents\nhttp = {0}/http\nstore = sqlite:{0}/db\n'
                           .format(self.folder.name) + f'{secret}{setting}\n')
                result = self.run_config('check')
                start = muster('conductor', '--config', self.conf, env=clean_env())
                self.assertEqual(result.returncode, 2)
                self.assertIn(says, result.stderr)
                self.assertEqual(result.stderr.replace('muster config', 'muster conductor'),
                                 start.stderr.splitlines(keepends=True)[-1])

    def test_check_makes_no_secret(self):
        secret = os.path.join(self.folder.name, 'secret')
        self.write(f'[conductor]\nstore = memory:\nsecret_file = {secret}\nlisten = {self.folder.name}/socket\n')
        result = self.run_config('check')
        self.assertEqual((result.returncode, result.stderr), (0, ''))
        self.assertEqual(os.listdir(self.folder.name), ['muster.conf'])

    def test_check_may_run_beside_the_conductor(self):
        with Conductor() as c:
            self.write(f'[conductor]\nstore = {c.store}\nlisten = 127.0.0.1:{c.agents_port}\n')
            result = self.run_config('check')
            self.assertEqual((result.returncode, result.stderr), (0, ''))

    @unittest.skipIf(os.geteuid(), 'only root may give a file away')
    def test_check_by_root_takes_the_file_of_the_user_that_a_conductor_runs_as(self):
        secret = self.put('secret', '0123456789abcdef' * 2 + '\n', 0o600)
        os.chown(secret, 12345, 12345)
        self.write(f'[conductor]\nstore = memory:\nsecret_file = {secret}\n')
        self.assertEqual(self.run_config('check').returncode, 0)

    def test_check_ends_with_2_without_the_file(self):
        result = self.run_config('check')
        self.assertEqual(result.returncode, 2)
        self.assertIn(self.conf, result.stderr)

    def test_what_is_no_file_is_not_waited_for(self):
        self.write('[conductor]\n')
        os.mkdir(os.path.join(self.folder.name, 'conf.d'))
        fifo = os.path.join(self.folder.name, 'conf.d', 'a.conf')
        os.mkfifo(fifo)
        result = self.run_config('check')
        self.assertEqual(result.returncode, 2)
        self.assertIn(f'{fifo}: not a file', result.stderr)

    def test_check_warns_of_times_that_are_close(self):
        self.write('[DEFAULT]\nreport_interval = 10s\nservice_down_time = 26s\n')
        result = self.run_config('check')
        self.assertEqual(result.returncode, 0)
        self.assertIn('warning', result.stderr)

    def test_check_warns_of_a_policy_that_never_matches(self):
        self.write('[policy all]\n[policy late]\nbinary = nova-*\n')
        result = self.run_config('check')
        self.assertEqual(result.returncode, 0)
        self.assertEqual(result.stderr, 'muster config: warning: policy late never matches: policy all, before it, takes '
                                        'all that it would; put it before that one, or remove it\n')

    def test_show_tells_the_origin_of_each_value(self):
        self.write('[conductor]\nmax_agents = 5\nmax_http = 50\n')
        self.write('[conductor]\nmax_http = 60\n', 'conf.d/a.conf')
        result = self.run_config('show', '--origin', env={'MUSTER_LOG_LEVEL': 'warn'})
        lines = {line.split(' ')[0]: line for line in result.stdout.splitlines()}
        self.assertIn(f'; {self.conf}:2', lines['max_agents'])
        self.assertIn('conf.d/a.conf:2', lines['max_http'])
        self.assertIn('= 60 ', lines['max_http'])
        self.assertIn('; MUSTER_LOG_LEVEL', lines['level'])
        self.assertIn('; default', lines['join_rate'])

    def test_what_a_policy_inherits_has_the_origin_of_the_default(self):
        self.write('[DEFAULT]\nreport_interval = 2s\nsuspect_time = 5s\n[policy fast]\nservice_down_time = 9s\n')
        result = self.run_config('show', '--origin')
        policy = result.stdout.split('[policy fast]\n')[1].split('\n\n')[0]
        lines = {line.split(' ')[0]: line for line in policy.splitlines()}
        self.assertRegex(lines['report_interval'], rf'= 2s +; {self.conf}:2$')
        self.assertRegex(lines['suspect_time'], r"= 5s +; worked out from the section's other times$")
        self.assertRegex(lines['service_down_time'], rf'= 9s +; {self.conf}:5$')
        self.assertRegex(lines['binary'], r'; default$')

    def test_a_variable_that_is_wrong_is_named(self):
        self.write('')
        result = self.run_config('check', env={'MUSTER_CONDUCTOR_MAX_AGNTS': '3'})
        self.assertEqual(result.returncode, 2)
        self.assertIn('MUSTER_CONDUCTOR_MAX_AGNTS', result.stderr)
        self.assertIn('max_agents', result.stderr)


class Start(unittest.TestCase):
    """A conductor that is told something wrong ends with 2 and one line."""

    def refuse(self, *args, config=''):
        c = Conductor(config=config, args=args)
        self.addCleanup(c.clean)
        c.launch()
        code = c.process.wait(wait.PATIENCE)
        self.assertEqual(code, 2, c.log())
        self.assertEqual(c.log().count('\n'), 1, c.log())
        return c.log()

    def test_an_open_address_is_refused_with_the_cure(self):
        log = self.refuse('--listen', '0.0.0.0:0')
        self.assertIn('0.0.0.0:0', log)
        self.assertIn('insecure', log)

    def test_two_listeners_on_one_port_are_not_blamed_on_another_process(self):
        log = self.refuse('--listen', '127.0.0.1:4679', '--http', '127.0.0.1:4679')
        self.assertIn('--http: [conductor] http = 127.0.0.1:4679: takes the same port as listen = ', log)
        self.assertNotIn('process', log)

    def test_a_wrong_value_is_refused_before_anything_is_made(self):
        c = Conductor(config='[conductor]\nmax_agents = many\n')
        self.addCleanup(c.clean)
        self.assertEqual(c.launch().process.wait(wait.PATIENCE), 2)
        self.assertIn('many', c.log())
        self.assertFalse(os.path.exists(c.db))

    def test_times_that_contradict_are_refused(self):
        log = self.refuse(config='[DEFAULT]\nreport_interval = 9s\nservice_down_time = 5s\n')
        self.assertIn('9s', log)
        self.assertIn('5s', log)

    def test_nothing_of_a_password_stays_among_the_arguments(self):
        with Conductor(store='memory://u:a-book-with-seven-seals@h') as c:
            with open(f'/proc/{c.process.pid}/cmdline', encoding='utf-8') as file:
                arguments = file.read()
            self.assertIn('memory://u:***@h\0', arguments)
            self.assertNotIn('seals', arguments)
            self.assertNotIn('s@h', arguments)

    def test_an_open_address_is_taken_where_it_is_said_aloud(self):
        with Conductor(args=['--listen', '0.0.0.0:0', '--insecure']) as c:
            self.assertTrue(c.web.reachable())


class Reload(unittest.TestCase):
    def test_a_wrong_file_changes_nothing(self):
        with Conductor() as c:
            c.web.ask('PUT', '/v1/agents/a@h/beat')
            c.set_config('[DEFAULT]\nservice_down_time = none\n')
            c.signal(signal.SIGHUP)
            c.await_log('not reloaded')
            self.assertIn('none', c.log())
            self.assertEqual(c.web.get('/v1/agents/a@h').json['down_time_s'], 3.0)

    def test_new_times_hold_for_agents_that_are_there(self):
        with Conductor() as c:
            c.web.ask('PUT', '/v1/agents/a@h/beat')
            c.set_config('[DEFAULT]\nreport_interval = 1s\nservice_down_time = 30s\n')
            c.signal(signal.SIGHUP)
            wait.until(lambda: c.web.get('/v1/agents/a@h').json['down_time_s'] == 30.0, c.log)
            self.assertEqual(c.downs(), [])

    def test_a_new_detector_judges_agents_that_are_there(self):
        with Conductor() as c:
            c.web.ask('PUT', '/v1/agents/a@h/beat')
            c.set_config('[DEFAULT]\nreport_interval = 1s\nservice_down_time = 30s\ndetector = phi\nphi_threshold = 5\n')
            c.signal(signal.SIGHUP)
            wait.until(lambda: c.web.get('/v1/agents/a@h/explain').json['detector'] == 'phi', c.log)
            why = c.web.get('/v1/agents/a@h/explain').json
            self.assertEqual(why['earliest_down_time_s'], 3.5)
            self.assertEqual(why['down_after_s'], 30.0)  # it has learned nothing yet
            self.assertEqual(why['numbers'], [{'name': 'learned from', 'value': 0, 'unit': 'beats'},
                                              {'name': 'judges from', 'value': 30, 'unit': 'beats'}])

    def test_what_takes_a_restart_is_named(self):
        with Conductor() as c:
            c.set_config(Conductor.TIMES + '[conductor]\nmax_agents = 17\n')
            c.signal(signal.SIGHUP)
            c.await_log('max_agents')
            self.assertIn('restart', c.log())

    def test_the_level_of_the_log_changes(self):
        with Conductor() as c:
            c.set_config(Conductor.TIMES + '[log]\nlevel = error\n')
            c.signal(signal.SIGHUP)
            for _ in range(2):  # by the second answer the loop has been at the signal
                c.web.get('/livez')
            before = c.log()
            c.signal(signal.SIGUSR1)
            self.assertEqual(c.stop(), 0)
            self.assertNotIn('state of the fleet', c.log()[len(before):])


if __name__ == '__main__':
    tap.main()
