CREATE TABLE ledger.account (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	code VARCHAR(20) NOT NULL, 
	name VARCHAR(80) NOT NULL, 
	kind VARCHAR(40) NOT NULL, 
	legal_entity_id UUID, 
	CONSTRAINT pk_account PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_account_community_id_code UNIQUE (community_id, code), 
	CONSTRAINT fk_account_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_account_account_kind CHECK (kind IN ('asset', 'liability', 'income', 'expense'))
);

CREATE TABLE ledger.book_period (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	month_on DATE NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	closed_by UUID, 
	closed_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	snapshot JSONB NOT NULL, 
	reopening_by UUID, 
	reopening_reason VARCHAR(200), 
	reopened_by UUID, 
	CONSTRAINT pk_book_period PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_book_period_community_id_month_on UNIQUE (community_id, month_on), 
	CONSTRAINT ck_book_period_month_on CHECK (extract(day from month_on) = 1), 
	CONSTRAINT fk_book_period_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_book_period_period_state CHECK (state IN ('closed', 'reopening', 'reopened'))
);

CREATE TABLE ledger.channel_notice (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	provider VARCHAR(40) NOT NULL, 
	nonce VARCHAR(64) NOT NULL, 
	event_id VARCHAR(64) NOT NULL, 
	trade_no VARCHAR(32), 
	result VARCHAR(40) NOT NULL, 
	detail VARCHAR(200), 
	received_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	CONSTRAINT pk_channel_notice PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_channel_notice_community_id_provider_nonce UNIQUE (community_id, provider, nonce), 
	CONSTRAINT fk_channel_notice_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_channel_notice_notice_result CHECK (result IN ('settled', 'repeated', 'surplus', 'blocked', 'nothing'))
);

CREATE TABLE ledger.journal_entry (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	posted_on DATE NOT NULL, 
	kind VARCHAR(60) NOT NULL, 
	source_id UUID NOT NULL, 
	memo VARCHAR(200) NOT NULL, 
	legal_entity_id UUID, 
	reverses_id UUID, 
	posted_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	posted_by UUID, 
	CONSTRAINT pk_journal_entry PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_journal_entry_community_id_kind_source_id UNIQUE (community_id, kind, source_id), 
	CONSTRAINT uq_journal_entry_community_id_reverses_id UNIQUE (community_id, reverses_id), 
	CONSTRAINT fk_journal_entry_reverses_id FOREIGN KEY(community_id, reverses_id) REFERENCES ledger.journal_entry (community_id, id), 
	CONSTRAINT fk_journal_entry_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_journal_entry_posted_by ON ledger.journal_entry (community_id, posted_by, id) WHERE posted_by is not null;

CREATE INDEX ix_journal_entry_posted_on ON ledger.journal_entry (community_id, posted_on);

CREATE TABLE ledger.month_draft (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	month_on DATE NOT NULL, 
	reckoned_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	items JSONB NOT NULL, 
	CONSTRAINT pk_month_draft PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_month_draft_community_id_month_on UNIQUE (community_id, month_on), 
	CONSTRAINT ck_month_draft_month_on CHECK (extract(day from month_on) = 1), 
	CONSTRAINT fk_month_draft_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE TABLE ledger.receipt_series (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	prefix VARCHAR(20) NOT NULL, 
	last_number INTEGER NOT NULL, 
	CONSTRAINT pk_receipt_series PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_receipt_series_community_id_prefix UNIQUE (community_id, prefix), 
	CONSTRAINT fk_receipt_series_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE TABLE ledger.reconciliation_day (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	provider VARCHAR(40) NOT NULL, 
	merchant_id UUID NOT NULL, 
	merchant_number VARCHAR(40) NOT NULL, 
	day_on DATE NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	digest VARCHAR(80) NOT NULL, 
	their_count INTEGER NOT NULL, 
	their_amount BIGINT NOT NULL, 
	their_refunds BIGINT NOT NULL, 
	our_count INTEGER NOT NULL, 
	our_amount BIGINT NOT NULL, 
	our_refunds BIGINT NOT NULL, 
	fees BIGINT NOT NULL, 
	fetched_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	CONSTRAINT pk_reconciliation_day PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_reconciliation_day_community_id_provider_merchant_nu_e954 UNIQUE (community_id, provider, merchant_number, day_on), 
	CONSTRAINT fk_reconciliation_day_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_reconciliation_day_day_state CHECK (state IN ('balanced', 'open'))
);

CREATE TABLE ledger.totals_mark (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	upto_id UUID NOT NULL, 
	CONSTRAINT pk_totals_mark PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_totals_mark_community_id UNIQUE (community_id), 
	CONSTRAINT fk_totals_mark_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE TABLE ledger.account_month (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	account_id UUID NOT NULL, 
	month_on DATE NOT NULL, 
	debit BIGINT NOT NULL, 
	credit BIGINT NOT NULL, 
	CONSTRAINT pk_account_month PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_account_month_community_id_account_id_month_on UNIQUE (community_id, account_id, month_on), 
	CONSTRAINT ck_account_month_month_on CHECK (extract(day from month_on) = 1), 
	CONSTRAINT ck_account_month_amounts CHECK (debit >= 0 and credit >= 0), 
	CONSTRAINT fk_account_month_account_id FOREIGN KEY(community_id, account_id) REFERENCES ledger.account (community_id, id), 
	CONSTRAINT fk_account_month_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE TABLE ledger.payment_order (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	plugin VARCHAR(31) NOT NULL, 
	title VARCHAR(200) NOT NULL, 
	payer_id UUID, 
	amount BIGINT NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	idempotency_key VARCHAR(80) NOT NULL, 
	request_hash VARCHAR(64) NOT NULL, 
	opened_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	expires_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	CONSTRAINT pk_payment_order PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_payment_order_community_id_idempotency_key UNIQUE (community_id, idempotency_key), 
	CONSTRAINT ck_payment_order_amount CHECK (amount > 0), 
	CONSTRAINT fk_payment_order_payer_id FOREIGN KEY(community_id, payer_id) REFERENCES dougong.person (community_id, id), 
	CONSTRAINT fk_payment_order_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_payment_order_order_state CHECK (state IN ('open', 'paid', 'cancelled'))
);

CREATE INDEX ix_payment_order_payer_id ON ledger.payment_order (community_id, payer_id);

CREATE TABLE ledger.wallet (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	person_id UUID NOT NULL, 
	balance BIGINT NOT NULL, 
	CONSTRAINT pk_wallet PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_wallet_community_id_person_id UNIQUE (community_id, person_id), 
	CONSTRAINT ck_wallet_balance CHECK (balance >= 0), 
	CONSTRAINT fk_wallet_person_id FOREIGN KEY(community_id, person_id) REFERENCES dougong.person (community_id, id), 
	CONSTRAINT fk_wallet_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE TABLE ledger.payment (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	order_id UUID NOT NULL, 
	payer_id UUID, 
	channel VARCHAR(40) NOT NULL, 
	provider VARCHAR(40), 
	reconciliation VARCHAR(40) DEFAULT 'not_needed' NOT NULL, 
	amount BIGINT NOT NULL, 
	refunded BIGINT DEFAULT 0 NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	reference VARCHAR(80), 
	taken_by UUID, 
	paid_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	CONSTRAINT pk_payment PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_payment_community_id_order_id UNIQUE (community_id, order_id), 
	CONSTRAINT ck_payment_refunded CHECK (refunded >= 0 and refunded <= amount), 
	CONSTRAINT fk_payment_order_id FOREIGN KEY(community_id, order_id) REFERENCES ledger.payment_order (community_id, id), 
	CONSTRAINT fk_payment_payer_id FOREIGN KEY(community_id, payer_id) REFERENCES dougong.person (community_id, id), 
	CONSTRAINT fk_payment_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_payment_payment_channel CHECK (channel IN ('wallet', 'cash', 'pos', 'bank_transfer', 'online', 'demo')), 
	CONSTRAINT ck_payment_reconciliation CHECK (reconciliation IN ('not_needed', 'waiting', 'matched', 'differs')), 
	CONSTRAINT ck_payment_payment_state CHECK (state IN ('settled', 'partly_refunded', 'refunded'))
);

CREATE INDEX ix_payment_paid_at ON ledger.payment (community_id, paid_at);

CREATE INDEX ix_payment_payer_id ON ledger.payment (community_id, payer_id);

CREATE INDEX ix_payment_unreconciled ON ledger.payment (community_id, paid_at) WHERE reconciliation in ('waiting', 'differs');

CREATE TABLE ledger.payment_order_item (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	order_id UUID NOT NULL, 
	kind VARCHAR(60) NOT NULL, 
	subject_id UUID NOT NULL, 
	title VARCHAR(200) NOT NULL, 
	amount BIGINT NOT NULL, 
	CONSTRAINT pk_payment_order_item PRIMARY KEY (community_id, id), 
	CONSTRAINT ck_payment_order_item_amount CHECK (amount > 0), 
	CONSTRAINT fk_payment_order_item_order_id FOREIGN KEY(community_id, order_id) REFERENCES ledger.payment_order (community_id, id), 
	CONSTRAINT fk_payment_order_item_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_payment_order_item_order_id ON ledger.payment_order_item (community_id, order_id);

CREATE INDEX ix_payment_order_item_subject_id ON ledger.payment_order_item (community_id, subject_id);

CREATE TABLE ledger.wallet_movement (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	wallet_id UUID NOT NULL, 
	entry_id UUID NOT NULL, 
	amount BIGINT NOT NULL, 
	moved_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	CONSTRAINT pk_wallet_movement PRIMARY KEY (community_id, id), 
	CONSTRAINT ck_wallet_movement_amount CHECK (amount <> 0), 
	CONSTRAINT fk_wallet_movement_wallet_id FOREIGN KEY(community_id, wallet_id) REFERENCES ledger.wallet (community_id, id), 
	CONSTRAINT fk_wallet_movement_entry_id FOREIGN KEY(community_id, entry_id) REFERENCES ledger.journal_entry (community_id, id), 
	CONSTRAINT fk_wallet_movement_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_wallet_movement_wallet_id ON ledger.wallet_movement (community_id, wallet_id);

CREATE TABLE ledger.bank_line (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	booked_on DATE NOT NULL, 
	amount BIGINT NOT NULL, 
	serial VARCHAR(80) NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	payment_id UUID, 
	imported_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	payer BYTEA, 
	payer_account BYTEA, 
	memo BYTEA, 
	CONSTRAINT pk_bank_line PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_bank_line_community_id_serial UNIQUE (community_id, serial), 
	CONSTRAINT ck_bank_line_amount CHECK (amount <> 0), 
	CONSTRAINT fk_bank_line_payment_id FOREIGN KEY(community_id, payment_id) REFERENCES ledger.payment (community_id, id), 
	CONSTRAINT fk_bank_line_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_bank_line_line_state CHECK (state IN ('matched', 'suspense', 'assigned', 'outgoing'))
);

CREATE INDEX ix_bank_line_payment_id ON ledger.bank_line (community_id, payment_id);

CREATE TABLE ledger.deposit (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	title VARCHAR(80) NOT NULL, 
	person_id UUID NOT NULL, 
	room_id UUID NOT NULL, 
	amount BIGINT NOT NULL, 
	channel VARCHAR(40) NOT NULL, 
	given_back BIGINT DEFAULT 0 NOT NULL, 
	deducted BIGINT DEFAULT 0 NOT NULL, 
	held BIGINT GENERATED ALWAYS AS (amount - given_back - deducted) STORED NOT NULL, 
	CONSTRAINT pk_deposit PRIMARY KEY (community_id, id), 
	CONSTRAINT ck_deposit_amounts CHECK (amount > 0 and given_back >= 0 and deducted >= 0), 
	CONSTRAINT ck_deposit_held CHECK (given_back + deducted <= amount), 
	CONSTRAINT fk_deposit_person_id FOREIGN KEY(community_id, person_id) REFERENCES dougong.person (community_id, id), 
	CONSTRAINT fk_deposit_room_id FOREIGN KEY(community_id, room_id) REFERENCES dougong.room (community_id, id), 
	CONSTRAINT fk_deposit_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_deposit_payment_channel CHECK (channel IN ('wallet', 'cash', 'pos', 'bank_transfer', 'online', 'demo'))
);

CREATE INDEX ix_deposit_person_id ON ledger.deposit (community_id, person_id);

CREATE INDEX ix_deposit_room_id ON ledger.deposit (community_id, room_id);

CREATE TABLE ledger.journal_line (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	entry_id UUID NOT NULL, 
	debit_id UUID NOT NULL, 
	credit_id UUID NOT NULL, 
	amount BIGINT NOT NULL, 
	memo VARCHAR(200) NOT NULL, 
	room_id UUID, 
	person_id UUID, 
	CONSTRAINT pk_journal_line PRIMARY KEY (community_id, id), 
	CONSTRAINT ck_journal_line_amount CHECK (amount > 0), 
	CONSTRAINT ck_journal_line_two_accounts CHECK (debit_id <> credit_id), 
	CONSTRAINT fk_journal_line_entry_id FOREIGN KEY(community_id, entry_id) REFERENCES ledger.journal_entry (community_id, id), 
	CONSTRAINT fk_journal_line_debit_id FOREIGN KEY(community_id, debit_id) REFERENCES ledger.account (community_id, id), 
	CONSTRAINT fk_journal_line_credit_id FOREIGN KEY(community_id, credit_id) REFERENCES ledger.account (community_id, id), 
	CONSTRAINT fk_journal_line_room_id FOREIGN KEY(community_id, room_id) REFERENCES dougong.room (community_id, id), 
	CONSTRAINT fk_journal_line_person_id FOREIGN KEY(community_id, person_id) REFERENCES dougong.person (community_id, id), 
	CONSTRAINT fk_journal_line_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_journal_line_credit_id ON ledger.journal_line (community_id, credit_id);

CREATE INDEX ix_journal_line_debit_id ON ledger.journal_line (community_id, debit_id);

CREATE INDEX ix_journal_line_entry_id ON ledger.journal_line (community_id, entry_id);

CREATE TABLE ledger.payment_attempt (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	order_id UUID NOT NULL, 
	provider VARCHAR(40) NOT NULL, 
	merchant_id UUID NOT NULL, 
	merchant_number VARCHAR(40) NOT NULL, 
	way VARCHAR(40) NOT NULL, 
	amount BIGINT NOT NULL, 
	trade_no VARCHAR(32) NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	transaction_id VARCHAR(64), 
	prepared JSONB NOT NULL, 
	problem VARCHAR(200), 
	started_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	asked_at TIMESTAMP WITH TIME ZONE, 
	payment_id UUID, 
	CONSTRAINT pk_payment_attempt PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_payment_attempt_community_id_trade_no UNIQUE (community_id, trade_no), 
	CONSTRAINT uq_payment_attempt_community_id_provider_transaction_id UNIQUE (community_id, provider, transaction_id), 
	CONSTRAINT ck_payment_attempt_amount CHECK (amount > 0), 
	CONSTRAINT fk_payment_attempt_order_id FOREIGN KEY(community_id, order_id) REFERENCES ledger.payment_order (community_id, id), 
	CONSTRAINT fk_payment_attempt_payment_id FOREIGN KEY(community_id, payment_id) REFERENCES ledger.payment (community_id, id), 
	CONSTRAINT fk_payment_attempt_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_payment_attempt_way CHECK (way IN ('qr', 'phone', 'page', 'in_app')), 
	CONSTRAINT ck_payment_attempt_attempt_state CHECK (state IN ('requested', 'waiting', 'unknown', 'paid', 'closed', 'blocked'))
);

CREATE INDEX ix_payment_attempt_open ON ledger.payment_attempt (community_id, started_at) WHERE state in ('requested', 'waiting', 'unknown');

CREATE INDEX ix_payment_attempt_order_id ON ledger.payment_attempt (community_id, order_id);

CREATE INDEX ix_payment_attempt_payment_id ON ledger.payment_attempt (community_id, payment_id);

CREATE TABLE ledger.receipt (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	series_id UUID NOT NULL, 
	number INTEGER NOT NULL, 
	code VARCHAR(40) NOT NULL, 
	payment_id UUID NOT NULL, 
	payer_name VARCHAR(120) NOT NULL, 
	amount BIGINT NOT NULL, 
	lines JSONB NOT NULL, 
	issued_on DATE NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	void_reason VARCHAR(200), 
	CONSTRAINT pk_receipt PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_receipt_community_id_series_id_number UNIQUE (community_id, series_id, number), 
	CONSTRAINT fk_receipt_series_id FOREIGN KEY(community_id, series_id) REFERENCES ledger.receipt_series (community_id, id), 
	CONSTRAINT fk_receipt_payment_id FOREIGN KEY(community_id, payment_id) REFERENCES ledger.payment (community_id, id), 
	CONSTRAINT fk_receipt_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_receipt_receipt_state CHECK (state IN ('issued', 'void'))
);

CREATE INDEX ix_receipt_payment_id ON ledger.receipt (community_id, payment_id);

CREATE UNIQUE INDEX uq_receipt_payment_issued ON ledger.receipt (community_id, payment_id) WHERE state = 'issued';

CREATE TABLE ledger.refund (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	payment_id UUID NOT NULL, 
	amount BIGINT NOT NULL, 
	reason VARCHAR(200) NOT NULL, 
	idempotency_key VARCHAR(80) NOT NULL, 
	request_hash VARCHAR(64) NOT NULL, 
	refunded_by UUID, 
	refunded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	CONSTRAINT pk_refund PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_refund_community_id_idempotency_key UNIQUE (community_id, idempotency_key), 
	CONSTRAINT ck_refund_amount CHECK (amount > 0), 
	CONSTRAINT fk_refund_payment_id FOREIGN KEY(community_id, payment_id) REFERENCES ledger.payment (community_id, id), 
	CONSTRAINT fk_refund_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE INDEX ix_refund_payment_id ON ledger.refund (community_id, payment_id);

CREATE TABLE ledger.deposit_movement (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	deposit_id UUID NOT NULL, 
	entry_id UUID NOT NULL, 
	kind VARCHAR(40) NOT NULL, 
	amount BIGINT NOT NULL, 
	reason VARCHAR(200) NOT NULL, 
	moved_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	CONSTRAINT pk_deposit_movement PRIMARY KEY (community_id, id), 
	CONSTRAINT ck_deposit_movement_amount CHECK (amount > 0), 
	CONSTRAINT fk_deposit_movement_deposit_id FOREIGN KEY(community_id, deposit_id) REFERENCES ledger.deposit (community_id, id), 
	CONSTRAINT fk_deposit_movement_entry_id FOREIGN KEY(community_id, entry_id) REFERENCES ledger.journal_entry (community_id, id), 
	CONSTRAINT fk_deposit_movement_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_deposit_movement_movement_kind CHECK (kind IN ('taken', 'given_back', 'deducted'))
);

CREATE INDEX ix_deposit_movement_deposit_id ON ledger.deposit_movement (community_id, deposit_id);

CREATE TABLE ledger.reconciliation_exception (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	day_id UUID NOT NULL, 
	kind VARCHAR(40) NOT NULL, 
	trade_no VARCHAR(64) NOT NULL, 
	refund_no VARCHAR(64), 
	transaction_id VARCHAR(64), 
	our_amount BIGINT, 
	their_amount BIGINT, 
	attempt_id UUID, 
	state VARCHAR(40) NOT NULL, 
	resolution VARCHAR(200), 
	resolved_by UUID, 
	resolved_at TIMESTAMP WITH TIME ZONE, 
	CONSTRAINT pk_reconciliation_exception PRIMARY KEY (community_id, id), 
	CONSTRAINT fk_reconciliation_exception_day_id FOREIGN KEY(community_id, day_id) REFERENCES ledger.reconciliation_day (community_id, id), 
	CONSTRAINT fk_reconciliation_exception_attempt_id FOREIGN KEY(community_id, attempt_id) REFERENCES ledger.payment_attempt (community_id, id), 
	CONSTRAINT fk_reconciliation_exception_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_reconciliation_exception_exception_kind CHECK (kind IN ('missing_here', 'missing_there', 'amount_differs', 'refund_missing_here', 'refund_missing_there')), 
	CONSTRAINT ck_reconciliation_exception_exception_state CHECK (state IN ('open', 'resolved'))
);

CREATE INDEX ix_reconciliation_exception_attempt_id ON ledger.reconciliation_exception (community_id, attempt_id);

CREATE INDEX ix_reconciliation_exception_day_id ON ledger.reconciliation_exception (community_id, day_id);

CREATE UNIQUE INDEX uq_reconciliation_exception_what ON ledger.reconciliation_exception (community_id, day_id, kind, trade_no, coalesce(refund_no, ''));

CREATE TABLE ledger.surplus_payment (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	attempt_id UUID NOT NULL, 
	provider VARCHAR(40) NOT NULL, 
	transaction_id VARCHAR(64) NOT NULL, 
	amount BIGINT NOT NULL, 
	reason VARCHAR(200) NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	found_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	proposal VARCHAR(200), 
	proposed_by UUID, 
	approved_by UUID, 
	CONSTRAINT pk_surplus_payment PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_surplus_payment_community_id_provider_transaction_id UNIQUE (community_id, provider, transaction_id), 
	CONSTRAINT ck_surplus_payment_amount CHECK (amount > 0), 
	CONSTRAINT fk_surplus_payment_attempt_id FOREIGN KEY(community_id, attempt_id) REFERENCES ledger.payment_attempt (community_id, id), 
	CONSTRAINT fk_surplus_payment_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_surplus_payment_surplus_state CHECK (state IN ('found', 'proposed', 'approved', 'refunded'))
);

CREATE INDEX ix_surplus_payment_attempt_id ON ledger.surplus_payment (community_id, attempt_id);

CREATE TABLE ledger.channel_return (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	attempt_id UUID NOT NULL, 
	refund_id UUID, 
	surplus_id UUID, 
	refund_no VARCHAR(32) NOT NULL, 
	amount BIGINT NOT NULL, 
	reason VARCHAR(200) NOT NULL, 
	state VARCHAR(40) NOT NULL, 
	problem VARCHAR(200), 
	started_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	done_at TIMESTAMP WITH TIME ZONE, 
	CONSTRAINT pk_channel_return PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_channel_return_community_id_refund_no UNIQUE (community_id, refund_no), 
	CONSTRAINT uq_channel_return_community_id_refund_id UNIQUE (community_id, refund_id), 
	CONSTRAINT uq_channel_return_community_id_surplus_id UNIQUE (community_id, surplus_id), 
	CONSTRAINT ck_channel_return_one_cause CHECK ((refund_id is null) <> (surplus_id is null)), 
	CONSTRAINT ck_channel_return_amount CHECK (amount > 0), 
	CONSTRAINT fk_channel_return_attempt_id FOREIGN KEY(community_id, attempt_id) REFERENCES ledger.payment_attempt (community_id, id), 
	CONSTRAINT fk_channel_return_refund_id FOREIGN KEY(community_id, refund_id) REFERENCES ledger.refund (community_id, id), 
	CONSTRAINT fk_channel_return_surplus_id FOREIGN KEY(community_id, surplus_id) REFERENCES ledger.surplus_payment (community_id, id), 
	CONSTRAINT fk_channel_return_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_channel_return_return_state CHECK (state IN ('waiting', 'unknown', 'done', 'failed'))
);

CREATE INDEX ix_channel_return_attempt_id ON ledger.channel_return (community_id, attempt_id);

