CREATE TABLE invoices.offline_issue (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	request_id UUID NOT NULL, 
	number VARCHAR(20) NOT NULL, 
	issued_at TIMESTAMP WITH TIME ZONE NOT NULL, 
	CONSTRAINT pk_offline_issue PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_offline_issue_community_id_request_id UNIQUE (community_id, request_id), 
	CONSTRAINT fk_offline_issue_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE TABLE invoices.signing_key (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	made_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	secret BYTEA NOT NULL, 
	CONSTRAINT pk_signing_key PRIMARY KEY (community_id, id), 
	CONSTRAINT fk_signing_key_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE TABLE invoices.tax_rule (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	fee_item_id UUID, 
	from_on DATE NOT NULL, 
	tax_code VARCHAR(19) NOT NULL, 
	short_name VARCHAR(40) NOT NULL, 
	rate NUMERIC(6, 4) NOT NULL, 
	source VARCHAR(200), 
	CONSTRAINT pk_tax_rule PRIMARY KEY (community_id, id), 
	CONSTRAINT uq_tax_rule_community_id_fee_item_id_from_on UNIQUE NULLS NOT DISTINCT (community_id, fee_item_id, from_on), 
	CONSTRAINT ck_tax_rule_rate CHECK (rate >= 0 and rate < 1), 
	CONSTRAINT fk_tax_rule_fee_item_id FOREIGN KEY(community_id, fee_item_id) REFERENCES fees.fee_item (community_id, id), 
	CONSTRAINT fk_tax_rule_ FOREIGN KEY(community_id) REFERENCES dougong.community (id)
);

CREATE TABLE invoices.invoice (
	community_id UUID NOT NULL, 
	id UUID DEFAULT uuidv7() NOT NULL, 
	payment_id UUID NOT NULL, 
	credits_id UUID, 
	state VARCHAR(40) NOT NULL, 
	number VARCHAR(20), 
	buyer_name VARCHAR(120) NOT NULL, 
	net BIGINT NOT NULL, 
	tax BIGINT NOT NULL, 
	amount BIGINT NOT NULL, 
	lines JSONB NOT NULL, 
	provider VARCHAR(40) NOT NULL, 
	attempts INTEGER DEFAULT 0 NOT NULL, 
	reason VARCHAR(200), 
	requested_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL, 
	issued_at TIMESTAMP WITH TIME ZONE, 
	buyer_tax_number BYTEA, 
	buyer_tax_number_index BYTEA, 
	CONSTRAINT pk_invoice PRIMARY KEY (community_id, id), 
	CONSTRAINT fk_invoice_payment_id FOREIGN KEY(community_id, payment_id) REFERENCES ledger.payment (community_id, id), 
	CONSTRAINT fk_invoice_credits_id FOREIGN KEY(community_id, credits_id) REFERENCES invoices.invoice (community_id, id), 
	CONSTRAINT fk_invoice_ FOREIGN KEY(community_id) REFERENCES dougong.community (id), 
	CONSTRAINT ck_invoice_invoice_state CHECK (state IN ('requested', 'issuing', 'issued', 'unknown', 'failed', 'red'))
);

CREATE INDEX ix_invoice_buyer_tax_number_index ON invoices.invoice (community_id, buyer_tax_number_index);

CREATE INDEX ix_invoice_number ON invoices.invoice (community_id, number);

CREATE INDEX ix_invoice_payment_id ON invoices.invoice (community_id, payment_id);

CREATE UNIQUE INDEX uq_invoice_credits ON invoices.invoice (community_id, credits_id) WHERE credits_id is not null;

CREATE UNIQUE INDEX uq_invoice_payment ON invoices.invoice (community_id, payment_id) WHERE credits_id is null and state not in ('failed', 'red');

